# kpi_cascade: PGXS build.
#   make && make install && make installcheck    for those with a server of their own
#   make demo, check, bench, demo-stop           do their own set-up (tools/README.md)

SCRIPT_GOALS = bench check demo demo-stop
ifneq (,$(filter $(SCRIPT_GOALS),$(MAKECMDGOALS)))

# These must work where nothing is installed yet, so PGXS stays out of the way.
.PHONY: $(MAKECMDGOALS)
.NOTPARALLEL:
check demo demo-stop:
	@$(CURDIR)/tools/$@
bench:
	@$(CURDIR)/bench/run
$(filter-out $(SCRIPT_GOALS),$(MAKECMDGOALS)):
	@$(MAKE) $@

else

EXTENSION   = kpi_cascade
EXTVERSION  = 0.3
MODULE_big  = kpi_cascade
OBJS        = $(patsubst %.c,%.o,$(sort $(wildcard src/*.c)))
SRC_HEADERS = $(wildcard src/*.h)
DOCS       := $(wildcard doc/*.md)

# 0.1 was the types alone; 0.2 brought the cascade.  Both are released, their
# parts stay as they are.  What came later is a step: CREATE EXTENSION runs 0.2
# and the steps after it, so an update leaves what a fresh installation leaves.
PARTS_0_1   = $(sort $(wildcard sql/parts/0*.sql sql/parts/1*.sql))
PARTS_0_2   = $(sort $(filter-out $(PARTS_0_1),$(wildcard sql/parts/*.sql)))
PARTS_0_3   = $(sort $(wildcard sql/parts/0.3/*.sql))
DATA_built  = kpi_cascade--0.1.sql kpi_cascade--0.1--0.2.sql kpi_cascade--0.2.sql \
              kpi_cascade--0.2--0.3.sql
EXTRA_CLEAN = $(DATA_built)

PG_CFLAGS   = -DKPI_CASCADE_VERSION=\"$(EXTVERSION)\" -Wall -Wextra -Wno-unused-parameter -Wno-sign-compare -Wno-missing-field-initializers
PG_CONFIG  ?= pg_config

# Input in test/, expected output in expected/.
REGRESS       := $(patsubst test/sql/%.sql,%,$(sort $(wildcard test/sql/*.sql)))
REGRESS_OPTS   = --inputdir=$(srcdir)/test
ISOLATION     := $(patsubst test/specs/%.spec,%,$(sort $(wildcard test/specs/*.spec)))
ISOLATION_OPTS = --inputdir=$(srcdir)/test --outputdir=.
# TAP tests start servers of their own: not as root, not without IPC::Run.
ifneq (,$(filter installcheck,$(MAKECMDGOALS)))
ifeq (ok,$(shell [ "$$(id -u)" -ne 0 ] && perl -MIPC::Run -e 'print "ok"' 2>/dev/null))
TAP_TESTS      = 1
PROVE_TESTS   := $(wildcard test/t/*.pl)
endif
endif
# Published data sets that some tests read; without them those tests are skipped.
ifneq (,$(wildcard ../shared/data))
export KPI_SHARED_DATA ?= $(abspath ../shared/data)
endif

PGXS := $(shell $(PG_CONFIG) --pgxs)
ifeq (,$(wildcard $(PGXS)))
$(error $(PG_CONFIG) names no PGXS: install the server's development package, or run "make check" or "make demo", which install what they need)
endif
# A server built with LLVM asks for bitcode, which needs the very clang it names.
SERVER_CLANG := $(shell sed -n 's/^CLANG *= *//p' $(dir $(PGXS))../Makefile.global)
ifeq (,$(shell command -v $(or $(SERVER_CLANG),clang)))
override with_llvm := no
endif
include $(PGXS)

# PGXS tracks no headers.
$(OBJS) $(OBJS:.o=.bc): $(SRC_HEADERS)

.DELETE_ON_ERROR:
kpi_cascade--0.1.sql: $(PARTS_0_1)
	cat $^ > $@
kpi_cascade--0.1--0.2.sql: $(PARTS_0_2)
	(printf '%s\n' '\echo Use "ALTER EXTENSION kpi_cascade UPDATE" to load this file. \quit'; cat $^) > $@
kpi_cascade--0.2.sql: $(PARTS_0_1) $(PARTS_0_2)
	cat $^ > $@
kpi_cascade--0.2--0.3.sql: $(PARTS_0_3)
	(printf '%s\n' '\echo Use "ALTER EXTENSION kpi_cascade UPDATE" to load this file. \quit'; cat $^) > $@

endif
