package engine

import (
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
)

// Exception is an error of the engine: ClickHouse's numeric code and its text, without the
// "Code: N. DB::Exception: " in front.
type Exception struct {
	Code    int
	Message string
}

// Error renders the exception as ClickHouse's HTTP interface does; clients parse this form.
func (e *Exception) Error() string {
	return fmt.Sprintf("Code: %d. DB::Exception: %s", e.Code, e.Message)
}

// ClickHouse's codes that this package raises or treats apart.
const (
	codeBadArguments           = 36
	codeNotImplemented         = 48
	codeSyntaxError            = 62
	codeUnknownTypeOfQuery     = 78
	codeUnknownSetting         = 115
	codeCannotReadAllData      = 33
	codeTooManyQueries         = 202
	codeQueryIsTooLarge        = 229
	codeCannotDecompress       = 271
	codeQueryWasCancelled      = 394
	codeAuthenticationFailed   = 516
	codeUnknownException       = 1002
	codeUnknownCompressionType = 89
)

// exceptionPrefix matches what the engine puts before its text.
var exceptionPrefix = regexp.MustCompile(`^Code: (\d+)\. (?:DB::(?:\w+)?Exception: )?`)

// parseException reads the engine's error text; text of another form keeps a generic code.
func parseException(text string) *Exception {
	text = strings.TrimSpace(text)
	if m := exceptionPrefix.FindStringSubmatch(text); m != nil {
		if code, err := strconv.Atoi(m[1]); err == nil && code > 0 {
			return &Exception{Code: code, Message: text[len(m[0]):]}
		}
	}
	return &Exception{Code: codeUnknownException, Message: text}
}

// statusByCode is the HTTP status that the server answers per code; all others are 500.
var statusByCode = map[int]int{
	194: http.StatusUnauthorized, // REQUIRED_PASSWORD

	192: http.StatusForbidden, // UNKNOWN_USER
	193: http.StatusForbidden, // WRONG_PASSWORD
	512: http.StatusForbidden, // SET_NON_GRANTED_ROLE
	516: http.StatusForbidden, // AUTHENTICATION_FAILED

	6:   http.StatusBadRequest, // CANNOT_PARSE_TEXT
	25:  http.StatusBadRequest, // CANNOT_PARSE_ESCAPE_SEQUENCE
	26:  http.StatusBadRequest, // CANNOT_PARSE_QUOTED_STRING
	27:  http.StatusBadRequest, // CANNOT_PARSE_INPUT_ASSERTION_FAILED
	36:  http.StatusBadRequest, // BAD_ARGUMENTS
	37:  http.StatusBadRequest, // UNKNOWN_ELEMENT_IN_AST
	38:  http.StatusBadRequest, // CANNOT_PARSE_DATE
	41:  http.StatusBadRequest, // CANNOT_PARSE_DATETIME
	53:  http.StatusBadRequest, // TYPE_MISMATCH
	62:  http.StatusBadRequest, // SYNTAX_ERROR
	72:  http.StatusBadRequest, // CANNOT_PARSE_NUMBER
	117: http.StatusBadRequest, // INCORRECT_DATA
	123: http.StatusBadRequest, // UNKNOWN_TYPE_OF_AST_NODE
	167: http.StatusBadRequest, // TOO_DEEP_AST
	168: http.StatusBadRequest, // TOO_BIG_AST
	223: http.StatusBadRequest, // UNEXPECTED_AST_STRUCTURE
	321: http.StatusBadRequest, // VALUE_IS_OUT_OF_RANGE_OF_DATA_TYPE
	427: http.StatusBadRequest, // CANNOT_COMPILE_REGEXP
	441: http.StatusBadRequest, // CANNOT_PARSE_DOMAIN_VALUE_FROM_STRING
	675: http.StatusBadRequest, // CANNOT_PARSE_IPV4
	676: http.StatusBadRequest, // CANNOT_PARSE_IPV6

	46:  http.StatusNotFound, // UNKNOWN_FUNCTION
	47:  http.StatusNotFound, // UNKNOWN_IDENTIFIER
	50:  http.StatusNotFound, // UNKNOWN_TYPE
	56:  http.StatusNotFound, // UNKNOWN_STORAGE
	60:  http.StatusNotFound, // UNKNOWN_TABLE
	63:  http.StatusNotFound, // UNKNOWN_AGGREGATE_FUNCTION
	73:  http.StatusNotFound, // UNKNOWN_FORMAT
	78:  http.StatusNotFound, // UNKNOWN_TYPE_OF_QUERY
	81:  http.StatusNotFound, // UNKNOWN_DATABASE
	115: http.StatusNotFound, // UNKNOWN_SETTING
	139: http.StatusNotFound, // NO_ELEMENTS_IN_CONFIG
	152: http.StatusNotFound, // UNKNOWN_DIRECTION_OF_SORTING
	336: http.StatusNotFound, // UNKNOWN_DATABASE_ENGINE

	159: http.StatusRequestTimeout,        // TIMEOUT_EXCEEDED
	160: http.StatusRequestTimeout,        // TOO_SLOW
	229: http.StatusRequestEntityTooLarge, // QUERY_IS_TOO_LARGE
	381: http.StatusLengthRequired,        // HTTP_LENGTH_REQUIRED
	48:  http.StatusNotImplemented,        // NOT_IMPLEMENTED
	76:  http.StatusServiceUnavailable,    // CANNOT_OPEN_FILE
	202: http.StatusServiceUnavailable,    // TOO_MANY_SIMULTANEOUS_QUERIES
	209: http.StatusServiceUnavailable,    // SOCKET_TIMEOUT
	439: http.StatusServiceUnavailable,    // CANNOT_SCHEDULE_TASK
}

// status is the HTTP status of an exception.
func (e *Exception) status() int {
	if status, ok := statusByCode[e.Code]; ok {
		return status
	}
	return http.StatusInternalServerError
}
