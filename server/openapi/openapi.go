// Package openapi describes every route of Meterhouse in one OpenAPI document.
package openapi
