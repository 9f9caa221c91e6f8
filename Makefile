# What people type. Everything works under `sudo` with a reset PATH, too.
SHELL := /bin/bash
.DEFAULT_GOAL := help
RUN := scripts/with-tools
BIN := node_modules
C_SOURCES = $(shell find native bpf experiments lab -name build -prune -o \( -name '*.c' -o -name '*.h' -o -name '*.cc' \) -print)

.PHONY: help setup install demo test test-fast lint format build bench soak clean

help: ## This list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{ printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## Install and build what is missing; quick the second time
	@scripts/setup

install: setup ## What hosts run, into /opt/aether, with units and the command (DESTDIR= for elsewhere)
	@DESTDIR='$(DESTDIR)' $(RUN) scripts/install

demo: setup ## Bring up a lab, break it, watch it repair itself (KEEP=1 leaves it running)
	@$(RUN) ./aether demo $(if $(KEEP),--keep)

test: setup ## Every test this machine can run (as root: all; ONLY=pattern picks files)
	@$(RUN) node dist/scripts/test/main.js $(if $(ONLY),--only '$(ONLY)')

test-fast: build ## Static checks and pure tests, no root, no servers
	@$(RUN) node dist/scripts/test/main.js --tier static,pure $(if $(ONLY),--only '$(ONLY)')

build: ## Compile the TypeScript
	@$(RUN) node $(BIN)/typescript/bin/tsc -b

lint: build ## The static checks alone
	@$(RUN) node dist/scripts/test/main.js --tier static

format: ## Rewrite every source in the one format
	@$(RUN) node $(BIN)/prettier/bin/prettier.cjs --log-level warn --write .
	@clang-format -i $(C_SOURCES)

bench: setup ## The figures: medians and spread, beside their peers (ONLY=name picks one; RUNS=, MINUTES= for less, and no claim)
	@$(RUN) node dist/experiments/bench.js $(if $(ONLY),--only '$(ONLY)') $(if $(RUNS),--runs '$(RUNS)') \
	  $(if $(MINUTES),--minutes '$(MINUTES)')

soak: setup ## Break edges, then the cluster, by chance for half an hour each (MINUTES=n for less, and no claim; ONLY=soak or cluster-faults)
	@failed=0; for one in $(if $(ONLY),$(ONLY),soak cluster-faults); do \
	  case $$one in soak) main=soak.js ;; cluster-faults) main=cluster-faults/run.js ;; \
	    *) echo "ONLY=$$one: there are soak and cluster-faults"; exit 2 ;; esac; \
	  $(RUN) node dist/experiments/$$main $(if $(MINUTES),--minutes '$(MINUTES)') || failed=1; \
	done; exit $$failed

clean: ## Remove what was built (keeps node_modules and the servers)
	@rm -rf dist native/build bpf/build
