// Package engine runs ClickHouse inside Meterhouse, for those who have no ClickHouse server: a
// laptop, a CI job, a small installation. The same engine that the server is built from, as the
// library libchdb, is loaded into a child process that speaks ClickHouse's HTTP interface on
// loopback. The rest of the program talks to it through clickhouse-go exactly as it talks to a
// server, so there is one dialect of SQL, one set of migrations and one way to fail: a process
// that can die.
//
//	serve                          meterhouse engine (child)
//	+---------------------+        +------------------------------------------+
//	| clickhouse-go ------+-HTTP-->| handler -> sessions -> libchdb -> files  |
//	| Supervisor ---------+-stdin->| EOF: the parent is dead                  |
//	|            <--------+-stdout-| "engine ready on 127.0.0.1:PORT"         |
//	+---------------------+        +------------------------------------------+
//
// # Entries
//
// [Run] is the child. [Supervisor] is the parent's side: it starts the child with a random
// password, restarts it when it dies, and leaves an endpoint file by which other subcommands
// reach the live engine ([ReadEndpoint]). [Start] serves the engine from the calling process, for
// tests. [FindLibrary] says where libchdb is. The package reads no environment and no flags.
//
// # The library
//
// libchdb is loaded without cgo, through purego, so the program builds with CGO_ENABLED=0 and
// runs without the library when it is pointed at a server. Some of its ways shape the code:
//
//   - A process has one data directory. Connections to it are many, each a session with its own
//     settings and database; statements in different sessions run in parallel, in one session
//     one after another. The engine shuts down with its last connection, so one is never closed.
//   - It would take over the process's signals; it is told not to before it starts.
//   - It refuses a directory that another process has, but says so on stderr only. We take a
//     lock of our own first, for a clear message and to wait for a predecessor that is dying.
//   - It would read a config.xml of the working directory. It is given a file of ours.
//
// # Requests
//
// A request gets a session of its own: a new one (0.2 ms), brought into the state that its URL
// asks for by USE and SET, or one left behind by a request that asked for the very same and ran
// nothing but queries and inserts. A session is never altered for the next request, so neither
// settings nor a database nor a temporary table can leak. Sessions that saw an error, a
// cancellation or a statement of any other kind are closed, which also frees what the engine
// still holds for them.
//
// SELECT in Native is streamed chunk by chunk from the engine's memory. In other formats the
// library would make a whole document of every chunk, a CSV header or a Parquet file each; there
// the engine writes INTO OUTFILE into a named pipe, and we pass on what comes out. Other
// statements run to their end in one call.
//
// INSERT … FORMAT hands the body to the engine as it comes. What is not complete is not
// committed: a client that disconnects, a frame or a stream that is cut, a row that cannot be
// read leave nothing behind, within a block. A block is up to 1,048,449 rows or 256 MB, as on the
// server, and a batch of clickhouse-go's is always one. A small INSERT … VALUES is run as a
// whole, so that its rows may hold expressions and parameters.
//
// Queries are cancelled by KILL QUERY from another session: while a query computes, its own
// session is busy and would not hear. The library gives a query no id of ours, so a query is
// known by its session's log_comment.
//
// # What clickhouse-go must be told
//
// It asks for the server's name and version first, and decodes all answers by the protocol
// revision it then learns. The library's Native format has none, so that question alone is
// answered by hand, at the client's revision, and reports revision 0. From then on bytes pass
// through untouched.
//
// An empty result has no bytes in the library, where the server sends a block with the columns:
// they are asked for with DESCRIBE and sent likewise.
//
// An error comes with its status, its code in a header and its text, as the server has them. Up
// to 128 KB of an answer are held back so that most errors can. One that comes later is appended
// with the marker that clickhouse-go looks for, and the connection is broken, so that nobody
// takes half an answer for a whole one.
//
// # Limits
//
// There are no users but "default", no sessions over requests (session_id), no external tables,
// no X-ClickHouse-Summary, and no progress headers. A SQL text is at most 4 MB. Durability is the
// server's: an insert survives the death of the process, while a power loss may take what the
// kernel had not written yet. Unix only.
package engine
