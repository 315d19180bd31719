# The entry points. Each exits non-zero when what it claims does not hold, and cleans up after itself.

.PHONY: help demo test lint bench accuracy parts compose-test scale-test

help:
	@echo 'make demo              a LangGraph run becomes an SQL row, on this machine'
	@echo 'make test              everything that CI runs, real components included'
	@echo 'make lint              format, clippy, dependencies'
	@echo 'make bench NAME=...    one benchmark, with its peers'
	@echo 'make accuracy CORPORA=DIR [CLEAN=DIR]  what part of known secrets is masked, and what else is'
	@echo 'make compose-test      docker compose up, driven, scaled, killed, removed'
	@echo 'make scale-test        maskers and archivers that come, go, pause and are killed under load'
	@echo 'make parts             only install what the tests drive'

demo:
	@scripts/demo

test:
	@scripts/test

lint:
	@scripts/lint

bench:
	@scripts/bench $(NAME)

accuracy:
	@cargo run --quiet --release -p trailgate-redact --example accuracy -- $(CORPORA) $(CLEAN)

compose-test:
	@scripts/compose-test

scale-test:
	@scripts/test --workspace --test nothing_lost_nothing_twice -- --ignored

parts:
	@scripts/install-test-parts
