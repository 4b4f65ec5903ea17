package queries

import (
	"context"
	"errors"
	"net/url"
	"slices"

	"github.com/ClickHouse/clickhouse-go/v2"
)

// Unreachable reports whether an error says that ClickHouse could not be asked, rather than what
// it answered: it is down, restarting, or the network between is.
func Unreachable(err error) bool {
	if err == nil || errors.Is(err, context.Canceled) {
		return false
	}
	exception := (*clickhouse.Exception)(nil)
	return !errors.As(err, &exception)
}

// passing are the codes of exceptions that are about ClickHouse's state and not about what it was
// given: it is too busy or full, is starting or stopping, has lost its disk or its Keeper, has been
// given other credentials, or lacks a table. The same insert may succeed later.
var passing = []int32{
	3, 23, 24, 32, 33, 734, // the request broke off
	74, 75, 76, 77, 83, 84, 87, 88, 107, 172, 204, 214, 272, 273, 274, 275, 294, 400, 424, 458,
	521, 531, 586, 625, 641, 662, 678, 679, // files and fsync
	86, 95, 96, 198, 209, 210, 279, 297, 364, 410, 519, 749, 762, // network
	60, 81, 218, 479, 701, 733, 746, // a table or database is not there, or not yet again
	159, 160, 394, 677, 735, // took too long, was cancelled
	164, 242, 774, // read only
	192, 193, 194, 195, 291, 497, 516, 720, // who we are
	173, 201, 202, 203, 240, 241, 243, 252, 290, 411, 439, 574, 700, 745, 776, 777, 778, // too much
	225, 244, 254, 265, 285, 286, 287, 289, 319, 369, 384, 415, 416, 425, 473, 529, 568, 571, 659,
	738, 904, 999, // replication
	236, 499, 500, 660, 693, 707, 737, 900, // aborted, object storage
	1000, 1001, // what the system's libraries throw
}

// Refused reports whether an error is ClickHouse's answer to what it was given, and so will be its
// answer next time, unless somebody changes the tables.
func Refused(err error) bool {
	exception := (*clickhouse.Exception)(nil)
	return errors.As(err, &exception) && !slices.Contains(passing, exception.Code)
}

// Answered reports whether an error is ClickHouse's own, so that what it was given arrived.
func Answered(err error) bool {
	exception := (*clickhouse.Exception)(nil)
	return errors.As(err, &exception)
}

// Missing reports whether an error says that a table, or the database, is not there.
func Missing(err error) bool {
	const noTable, noDatabase = 60, 81
	exception := (*clickhouse.Exception)(nil)
	return errors.As(err, &exception) &&
		(exception.Code == noTable || exception.Code == noDatabase)
}

// brief takes the address of a failed HTTP request out of an error: it holds every setting, which
// is a page of text.
func brief(err error) error {
	if request := (*url.Error)(nil); errors.As(err, &request) {
		return request.Err
	}
	return err
}
