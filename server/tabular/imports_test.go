package tabular

import (
	_ "github.com/johannesboyne/gofakes3/backend/s3mem"
)
