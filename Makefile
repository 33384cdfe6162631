# mailhaul: "make" builds build/mailhaul; "make demo" shows it at work; "make check" tests it.
# Nothing is written outside build/ but by "make install".

VERSION  := 0.1.0
PREFIX   ?= /usr/local
DESTDIR  ?=
BUILD    ?= build
CC       ?= gcc
PYTHON   ?= /usr/bin/python3

# ---- what is needed ------------------------------------------------------------------------------

LIBS       := gnutls libuv yaml-0.1 sqlite3 libgsasl libidn2 jansson
BUILD_DEPS := gcc make pkg-config libgnutls28-dev libuv1-dev libyaml-dev libsqlite3-dev \
              libgsasl-dev libidn2-dev libjansson-dev uthash-dev
SERVER_DEPS := dovecot-core dovecot-imapd dovecot-pop3d exim4-daemon-light gnutls-bin python3-minimal \
               python3
CHECK_DEPS := $(SERVER_DEPS) dovecot-lmtpd procmail maildrop mutt mandoc check clang-format clang-tidy
BENCH_DEPS := $(SERVER_DEPS) isync mpop fetchmail fdm

# ---- how it is compiled --------------------------------------------------------------------------

WARNINGS := -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
            -Wold-style-definition -Wpointer-arith -Wcast-qual -Wwrite-strings -Wundef -Wvla \
            -Wformat=2 -Wimplicit-fallthrough
# Warnings are errors where mailhaul is developed (a git checkout), not in a user's build.
ifneq ($(wildcard .git),)
WERROR   ?= -Werror
endif
HARDEN   := -fPIE -fstack-protector-strong -fstack-clash-protection -D_FORTIFY_SOURCE=2
ifneq ($(filter x86_64 i686,$(shell uname -m)),)
HARDEN   += -fcf-protection=full
endif
OPTIMISE ?= -O2 -g
CFLAGS   ?= $(OPTIMISE) $(HARDEN)
LDFLAGS  ?= -pie -Wl,-z,relro,-z,now,-z,noexecstack,--as-needed
STANDARD := -std=c17 -D_GNU_SOURCE -DMAILHAUL_VERSION='"$(VERSION)"' -Iinclude -pthread

SOURCES  := $(sort $(wildcard src/*.c src/*/*.c))
OBJECTS  := $(SOURCES:src/%.c=$(BUILD)/obj/%.o)
ROOMS    := $(filter-out $(BUILD)/obj/main.o,$(OBJECTS))

PKG_CFLAGS = $(shell pkg-config --cflags $(LIBS) 2>/dev/null)
PKG_LIBS   = $(shell pkg-config --libs $(LIBS) 2>/dev/null)

.PHONY: all
all: $(BUILD)/deps-build $(BUILD)/mailhaul

$(BUILD)/mailhaul: $(OBJECTS)
	$(CC) $(CFLAGS) $(LDFLAGS) -pthread -o $@ $^ $(PKG_LIBS)

$(BUILD)/obj/%.o: src/%.c | $(BUILD)/deps-build
	@mkdir -p $(@D)
	$(CC) $(STANDARD) $(WARNINGS) $(WERROR) $(CFLAGS) $(CPPFLAGS) $(PKG_CFLAGS) -MMD -MP -c -o $@ $<

-include $(OBJECTS:.o=.d)

# Installs what is missing, says what, and does nothing when all is there.
$(BUILD)/deps-%:
	@mkdir -p $(@D)
	@sh tests/install-packages.sh $($(shell echo $* | tr a-z A-Z)_DEPS)
	@touch $@

# ---- unit tests ----------------------------------------------------------------------------------

UNITS := $(patsubst tests/unit/test_%.c,$(BUILD)/unit/test_%,$(sort $(wildcard tests/unit/test_*.c)))

$(BUILD)/librooms.a: $(ROOMS)
	@rm -f $@
	ar rcs $@ $^

$(BUILD)/unit/test_%: tests/unit/test_%.c $(BUILD)/librooms.a | $(BUILD)/deps-check
	@mkdir -p $(@D)
	$(CC) $(STANDARD) $(WARNINGS) $(WERROR) $(CFLAGS) $(CPPFLAGS) $(PKG_CFLAGS) -Wno-pedantic -MMD -MP \
	    $$(pkg-config --cflags check) $(LDFLAGS) -o $@ $< $(BUILD)/librooms.a $(PKG_LIBS) \
	    $$(pkg-config --libs check)

-include $(UNITS:=.d)

.PHONY: units
units: $(BUILD)/deps-build $(BUILD)/deps-check $(UNITS)

# ---- tidiness ------------------------------------------------------------------------------------

.PHONY: layers format clean
layers:
	@$(PYTHON) tests/layers.py

format:
	clang-format -i $$(find src include tests -name '*.[ch]')

clean:
	rm -rf $(BUILD)
