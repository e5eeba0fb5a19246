# Short names for what is typed most. Each is one command that works without make.

TOOL = go tool -modfile=.ci/tools.mod

.PHONY: run test lint bench ci

run: ## the demonstration, in one process
	go run ./cmd/idledemo

test:
	go test -race -shuffle=on -timeout 1h ./...

lint:
	$(TOOL) gofumpt -l .
	$(TOOL) golangci-lint run

bench:
	go test -run '^$$' -bench . -benchmem ./...

ci: ## what every change has to pass
	bash .ci/run
