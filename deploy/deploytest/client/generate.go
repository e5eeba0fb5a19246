package client

//go:generate go tool oapi-codegen -generate types,client -package client -o client.go ../../../messages/openapi.json
