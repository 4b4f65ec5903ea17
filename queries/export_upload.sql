-- Writes an object as it is: its text in chunks, one after the other.
INSERT INTO FUNCTION s3({url:String}, {key:String}, {secret:String}, 'RawBLOB', 'chunk String')
(
    chunk
)
