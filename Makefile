# kpi_cascade: PGXS build.  "make demo" and "make check" do their own set-up.
EXTENSION   = kpi_cascade
EXTVERSION  = 0.2
MODULE_big  = kpi_cascade
OBJS        = $(patsubst %.c,%.o,$(sort $(wildcard src/*.c)))
SRC_HEADERS = $(wildcard src/*.h)

# 0.1 was the types alone; everything else came with 0.2.
PARTS_0_1   = $(sort $(wildcard sql/parts/0*.sql sql/parts/1*.sql))
PARTS_0_2   = $(sort $(filter-out $(PARTS_0_1),$(wildcard sql/parts/*.sql)))
DATA_built  = kpi_cascade--0.1.sql kpi_cascade--0.1--0.2.sql kpi_cascade--0.2.sql
EXTRA_CLEAN = $(DATA_built)

PG_CFLAGS   = -Wall -Wextra -Wno-unused-parameter -Wno-sign-compare -Wno-missing-field-initializers
PG_CONFIG  ?= pg_config
ifeq (,$(shell which clang 2>/dev/null))
override with_llvm := no
endif
PGXS := $(shell $(PG_CONFIG) --pgxs)
include $(PGXS)

$(OBJS) $(OBJS:.o=.bc): $(SRC_HEADERS)

kpi_cascade--0.1.sql: $(PARTS_0_1)
	cat $^ > $@
kpi_cascade--0.1--0.2.sql: $(PARTS_0_2)
	(echo '\echo Use "ALTER EXTENSION kpi_cascade UPDATE" to load this file. \quit'; cat $^) > $@
kpi_cascade--0.2.sql: $(PARTS_0_1) $(PARTS_0_2)
	cat $^ > $@
