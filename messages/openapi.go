package messages

import _ "embed"

// OpenAPI is the HTTP API of the worker as an OpenAPI 3.1 document.
//
//go:embed openapi.json
var OpenAPI []byte
