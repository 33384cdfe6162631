# mailhaul: "make" builds build/mailhaul; "make demo" shows it at work; "make check" tests it.
# Nothing is written outside build/ but by "make install". V=1 shows the commands.

VERSION  := 0.1.0
PREFIX   ?= /usr/local
DESTDIR  ?=
BUILD    ?= build
ifeq ($(origin CC),default)
CC       := gcc
endif
PYTHON   ?= /usr/bin/python3
JOBS     ?= $(shell nproc)

# ---- what is needed ------------------------------------------------------------------------------

LIBS          := gnutls libuv yaml-0.1 sqlite3 libgsasl libidn2 jansson
BUILD_DEPS    := gcc make pkg-config libgnutls28-dev libuv1-dev libyaml-dev libsqlite3-dev \
                 libgsasl-dev libidn2-dev libjansson-dev uthash-dev
DEMO_DEPS     := dovecot-core dovecot-imapd dovecot-pop3d exim4-daemon-light gnutls-bin python3
CHECK_DEPS    := $(DEMO_DEPS) ca-certificates openssl procmail maildrop mutt mandoc systemd check \
                 clang-format
# Unpacked into build/, not installed: their packages and Dovecot's exclude each other.
CYRUS         := cyrus-imapd cyrus-pop3d cyrus-common libsasl2-modules libsasl2-modules-sql
COURIER       := courier-imap courier-pop courier-base courier-authdaemon courier-authlib \
                 courier-authlib-pipe gamin
TIDY_DEPS     := clang-tidy clang-format
BENCH_DEPS    := $(DEMO_DEPS) isync
COVERAGE_DEPS := check gcovr
FUZZ_DEPS     := clang libclang-rt-dev

# ---- how it is compiled --------------------------------------------------------------------------

WARNINGS := -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
            -Wold-style-definition -Wpointer-arith -Wcast-qual -Wwrite-strings -Wundef -Wvla \
            -Wformat=2 -Wimplicit-fallthrough
# Warnings are errors where mailhaul is developed (a git checkout), not in a user's build.
ifneq ($(wildcard .git),)
WERROR   ?= -Werror
endif
CFLAGS   ?= -O2 -g
# Hardening stays when CFLAGS and LDFLAGS are a user's own, who may say otherwise in them. Only the
# sanitizers do without it: they bring their own, and false warnings where both are on.
ifeq ($(findstring -fsanitize,$(CFLAGS)),)
HARDEN   := -fPIE -fstack-protector-strong -fstack-clash-protection
HARDEN_LD := -pie -Wl,-z,relro,-z,now,-z,noexecstack,--as-needed
# Debian's start-up files hold no landing pads, so the linker may not mark the whole program for
# indirect branch tracking; the shadow stack needs none.
ifneq ($(filter x86_64 i686,$(firstword $(subst -, ,$(shell $(CC) -dumpmachine 2>/dev/null)))),)
HARDEN   += -fcf-protection=full
HARDEN_LD += -Wl,-z,shstk
endif
# It needs an optimising compiler, and whoever defines it himself knows which one he wants.
ifneq ($(filter-out -O0,$(filter -O%,$(CFLAGS))),)
HARDEN   += $(if $(findstring _FORTIFY_SOURCE,$(CFLAGS) $(CPPFLAGS)),,-D_FORTIFY_SOURCE=2)
endif
endif
STANDARD := -std=c17 -D_GNU_SOURCE -DMAILHAUL_VERSION='"$(VERSION)"' -Iinclude -pthread

PKG_CFLAGS = $(shell pkg-config --cflags $(LIBS) 2>/dev/null)
PKG_LIBS   = $(shell pkg-config --libs $(LIBS) 2>/dev/null)
COMPILE    = $(CC) $(STANDARD) $(WARNINGS) $(WERROR) $(HARDEN) $(CFLAGS) $(CPPFLAGS) $(PKG_CFLAGS) -MMD -MP

SOURCES  := $(sort $(wildcard src/*.c src/*/*.c))
OBJECTS  := $(SOURCES:src/%.c=$(BUILD)/obj/%.o)
ROOMS    := $(filter-out $(BUILD)/obj/main.o,$(OBJECTS))
SHIMS    := $(patsubst tests/fault/%.c,$(BUILD)/fault/%.so,$(wildcard tests/fault/*.c))
UNITS    := $(patsubst tests/unit/test_%.c,$(BUILD)/unit/test_%,$(sort $(wildcard tests/unit/test_*.c)))

Q   := $(if $(V),,@)
say  = $(if $(V),@:,@printf '  %-5s %s\n' $(1) $(2))
sub  = $(MAKE) --no-print-directory $(if $(filter -j% --jobs%,$(MAKEFLAGS)),,-j$(JOBS))

.PHONY: all
all: $(BUILD)/mailhaul

$(BUILD)/mailhaul: $(OBJECTS)
	$(call say,LINK,$@)
	$(Q)$(CC) $(HARDEN) $(CFLAGS) $(HARDEN_LD) $(LDFLAGS) -pthread -o $@ $^ $(PKG_LIBS)

$(BUILD)/obj/%.o: src/%.c | $(BUILD)/deps-build
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(COMPILE) -c -o $@ $<

-include $(OBJECTS:.o=.d) $(UNITS:=.d)

# Installs what is missing, says what, and does nothing when all is there. One after another.
$(BUILD)/deps-%:
	@mkdir -p $(@D)
	@sh tests/install-packages.sh $($(shell echo $* | tr a-z A-Z)_DEPS)
	@touch $@

$(BUILD)/deps-demo $(BUILD)/deps-check $(BUILD)/deps-bench $(BUILD)/deps-tidy $(BUILD)/deps-fuzz: \
    | $(BUILD)/deps-build
$(BUILD)/deps-check: | $(BUILD)/deps-demo

.PHONY: servers
servers: | $(BUILD)/deps-check
	@sh tests/unpack-packages.sh build/cyrus $(CYRUS)
	@sh tests/unpack-packages.sh build/courier $(COURIER)

# ---- tests ---------------------------------------------------------------------------------------

# The whole matrix of crashes takes hours; "make check" runs a part of it.
.PHONY: demo check units dialogs options e2e fault crash soak bench bench-idle layers crash-build \
    soak-build check-build
demo: $(BUILD)/deps-build
	@$(sub) all $(BUILD)/deps-demo
	@$(PYTHON) tests/demo/demo.py

check: $(BUILD)/deps-build
	@$(sub) check-build
	@MAILHAUL_BUILD=$(BUILD) $(PYTHON) tests/check.py

e2e fault: $(BUILD)/deps-check
	@$(sub) all crash-build $(SHIMS) servers
	@MAILHAUL_BUILD=$(BUILD) $(PYTHON) tests/check.py $@ $(ONLY)

crash: $(BUILD)/deps-check
	@$(sub) all crash-build $(SHIMS)
	@MAILHAUL_BUILD=$(BUILD) MAILHAUL_FULL=1 $(PYTHON) tests/fault/crash.py $(ONLY)

# A quarter of an hour of what befalls a daemon in weeks; "make check" has half a minute of it.
soak: $(BUILD)/deps-check
	@$(sub) soak-build
	@MAILHAUL_BUILD=$(BUILD) SOAK_SECONDS=$(or $(SOAK_SECONDS),900) $(PYTHON) tests/fault/soak.py

bench: $(BUILD)/deps-build
	@$(sub) all $(BUILD)/deps-bench
	@$(PYTHON) tests/bench/bench.py $(ONLY)

# Dovecot's LMTP, of the version that is installed.
bench-idle: $(BUILD)/deps-build
	@$(sub) all $(BUILD)/deps-bench
	@sh tests/unpack-packages.sh build/lmtpd dovecot-lmtpd
	@$(PYTHON) tests/bench/bench_idle.py $(ONLY)

# ---- building the tests ----------------------------------------------------------------------------

layers:
	@$(PYTHON) tests/layers.py

check-build: all units crash-build replays $(BUILD)/dialog/run_dialog $(BUILD)/options/write_options \
    $(SHIMS) servers | $(BUILD)/deps-check

# A build of its own, in which mailhaul dies where it is told to.
crash-build: $(BUILD)/deps-build
	@$(MAKE) --no-print-directory BUILD=$(BUILD)/crash CPPFLAGS="$(CPPFLAGS) -DMAILHAUL_CRASH" all

soak-build: all $(SHIMS)

units: $(UNITS)

$(BUILD)/librooms.a: $(ROOMS)
	$(call say,AR,$@)
	@rm -f $@
	$(Q)ar rcs $@ $^

$(BUILD)/unit/test_%: tests/unit/test_%.c $(BUILD)/librooms.a | $(BUILD)/deps-check
	$(call say,TEST,$<)
	@mkdir -p $(@D)
	$(Q)$(COMPILE) -Wno-pedantic $$(pkg-config --cflags check) $(HARDEN_LD) $(LDFLAGS) -o $@ $< \
	    $(BUILD)/librooms.a $(PKG_LIBS) $$(pkg-config --libs check)

DIALOG := $(sort $(wildcard tests/dialog/*.c))

$(BUILD)/dialog/run_dialog: $(DIALOG) $(wildcard tests/dialog/*.h) $(BUILD)/librooms.a
	$(call say,TEST,$(firstword $(DIALOG)))
	@mkdir -p $(@D)
	$(Q)$(COMPILE) $(HARDEN_LD) $(LDFLAGS) -o $@ $(DIALOG) $(BUILD)/librooms.a $(PKG_LIBS)

# Disks that fail or lose their power, to be preloaded; without sanitizers, which would have to come
# first.
$(BUILD)/fault/%.so: tests/fault/%.c tests/fault/covered.h
	$(call say,TEST,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(STANDARD) $(WARNINGS) $(WERROR) -O2 -fPIC -shared -o $@ $<

# Transcripts replayed against the protocol engines.
dialogs: $(BUILD)/dialog/run_dialog
	@$< $(sort $(wildcard tests/dialog/*/*.txt))

$(BUILD)/options/write_options: tests/options/write_options.c $(BUILD)/librooms.a
	$(call say,TEST,$<)
	@mkdir -p $(@D)
	$(Q)$(COMPILE) $(HARDEN_LD) $(LDFLAGS) -o $@ $< $(BUILD)/librooms.a $(PKG_LIBS)

# Writes anew what is generated from the option table; "make check" fails where it differs.
options: $(BUILD)/options/write_options
	@$<

# ---- fuzzing -------------------------------------------------------------------------------------

# A target is one file, tests/fuzz/fuzz_NAME.c; the other files belong to all. What is kept of its
# inputs stands in tests/fuzz/corpus/NAME.seeds, and transcripts are seeds of the engines' targets.
FUZZ_TARGETS := $(patsubst tests/fuzz/fuzz_%.c,%,$(sort $(wildcard tests/fuzz/fuzz_*.c)))
FUZZ_SHARED  := $(addprefix tests/fuzz/,fuzz.c drive.c judge.c)
FUZZ_SEEDS   := tests/fuzz/seeds.py $(wildcard tests/fuzz/corpus/*.seeds tests/dialog/*/*.txt \
                config/*.yaml config/*/*.yaml)
FUZZ_SECONDS ?= 60
FUZZ_CC      ?= clang
FUZZ_CHECKS  := address,undefined

.PHONY: fuzz fuzz-keep fuzz-programs replays
# What "make check" does: all that is kept, without a fuzzer.
replays: $(FUZZ_TARGETS:%=$(BUILD)/fuzz/replay_%) $(BUILD)/fuzz/seeds

$(BUILD)/fuzz/seeds: $(FUZZ_SEEDS)
	@$(PYTHON) tests/fuzz/seeds.py gather $(BUILD)/fuzz $(FUZZ_TARGETS)
	@touch $@

$(BUILD)/fuzz/replay_%: tests/fuzz/fuzz_%.c tests/fuzz/replay.c $(FUZZ_SHARED) \
    $(wildcard tests/fuzz/*.h) $(BUILD)/librooms.a
	$(call say,TEST,$<)
	@mkdir -p $(@D)
	$(Q)$(COMPILE) $(HARDEN_LD) $(LDFLAGS) -o $@ $(filter %.c,$^) $(BUILD)/librooms.a $(PKG_LIBS)

# "make fuzz" runs each target for FUZZ_SECONDS, or those that ONLY names; what it finds is left in
# build/fuzzing/fuzz/NAME-*, and "make fuzz-keep" puts into the corpus what is worth keeping. Two of
# clang's warnings are left out: it does not read comments (uthash falls through), and knows no
# format that is checked where it comes from.
fuzz: $(BUILD)/deps-build $(BUILD)/deps-fuzz
	@$(sub) BUILD=$(BUILD)/fuzzing CC=$(FUZZ_CC) LDFLAGS= \
	    CFLAGS="-O1 -g -fno-omit-frame-pointer -fsanitize=fuzzer-no-link,$(FUZZ_CHECKS) \
	    -fno-sanitize-recover=all -Wno-format-nonliteral -Wno-implicit-fallthrough" fuzz-programs
	@$(PYTHON) tests/fuzz/seeds.py fuzz $(BUILD)/fuzzing/fuzz $(FUZZ_SECONDS) \
	    $(or $(ONLY),$(FUZZ_TARGETS))

fuzz-keep:
	@$(PYTHON) tests/fuzz/seeds.py keep $(BUILD)/fuzzing/fuzz $(or $(ONLY),$(FUZZ_TARGETS))

fuzz-programs: $(FUZZ_TARGETS:%=$(BUILD)/fuzz/fuzz_%)

$(BUILD)/fuzz/fuzz_%: tests/fuzz/fuzz_%.c $(FUZZ_SHARED) $(wildcard tests/fuzz/*.h) \
    $(BUILD)/librooms.a
	$(call say,FUZZ,$<)
	@mkdir -p $(@D)
	$(Q)$(COMPILE) -fsanitize=fuzzer,$(FUZZ_CHECKS) -o $@ $(filter %.c,$^) $(BUILD)/librooms.a \
	    $(PKG_LIBS)

# ---- the same tests, with an eye on memory and on what C leaves undefined ------------------------

.PHONY: asan ubsan tsan coverage
# A sanitizer's checks make gcc warn of what cannot be: there, warnings are shown and are no errors.
asan: SANITIZE := address,undefined
ubsan: SANITIZE := undefined
asan ubsan: $(BUILD)/deps-build
	@$(sub) BUILD=$(BUILD)/$@ WERROR= LDFLAGS="-fsanitize=$(SANITIZE)" \
	    CFLAGS="-O1 -g -fno-omit-frame-pointer -fsanitize=$(SANITIZE) -fno-sanitize-recover=all" \
	    check-build
	@MAILHAUL_BUILD=$(BUILD)/$@ $(PYTHON) tests/check.py units dialogs fuzz e2e fault

# What has more than one thread: the committer's, the workers', and all that they share.
tsan: $(BUILD)/deps-build
	@$(sub) BUILD=$(BUILD)/$@ WERROR= LDFLAGS=-fsanitize=thread \
	    CFLAGS="-O1 -g -fno-omit-frame-pointer -fsanitize=thread" \
	    soak-build units servers
	@CK_TIMEOUT_MULTIPLIER=60 TSAN_OPTIONS=atexit_sleep_ms=0 MAILHAUL_BUILD=$(BUILD)/$@ \
	    $(PYTHON) tests/check.py units e2e soak daemon

# Of all tests together, or of those that ONLY names: make coverage ONLY="units dialogs". Whoever runs
# them writes beside the objects which lines were reached.
coverage: $(BUILD)/deps-build $(BUILD)/deps-coverage
	@$(sub) BUILD=$(BUILD)/coverage CFLAGS="-O0 -g --coverage" LDFLAGS=--coverage \
	    CPPFLAGS="-include tests/counted_exit.h" check-build
	@find $(BUILD)/coverage -name '*.gcda' -delete
	@chmod -R a+rwX $(BUILD)/coverage
	@MAILHAUL_BUILD=$(BUILD)/coverage $(PYTHON) tests/check.py \
	    $(or $(ONLY),units dialogs fuzz e2e fault); \
	gcovr -r . -f src/ --sort-percentage $(BUILD)/coverage/obj

# ---- tidiness ------------------------------------------------------------------------------------

.PHONY: tidy format format-check clean
TIDIED := $(patsubst %.c,$(BUILD)/tidy/%.ok,$(SOURCES) $(wildcard tests/unit/*.c tests/dialog/*.c \
    tests/options/*.c tests/fault/*.c tests/fuzz/*.c))

tidy: $(BUILD)/deps-build
	@$(sub) $(TIDIED) format-check

$(BUILD)/tidy/%.ok: %.c .clang-tidy $(wildcard include/*/*.h) | $(BUILD)/deps-tidy $(BUILD)/deps-check
	$(call say,TIDY,$<)
	@mkdir -p $(@D)
	$(Q)clang-tidy --quiet $< -- $(STANDARD) $(PKG_CFLAGS) 2>/dev/null
	@touch $@

FORMATTED = $$(find src include tests -name '*.[ch]')

format:
	clang-format -i $(FORMATTED)

format-check:
	@clang-format --dry-run -Werror $(FORMATTED)

clean:
	rm -rf $(BUILD)

# ---- for users and packagers ---------------------------------------------------------------------

.PHONY: install uninstall dist
BIN := $(DESTDIR)$(PREFIX)/bin
MAN := $(DESTDIR)$(PREFIX)/share/man
DOC := $(DESTDIR)$(PREFIX)/share/doc/mailhaul

install: all
	install -D -m 755 $(BUILD)/mailhaul $(BIN)/mailhaul
	for page in man/*.[1-8]; do install -D -m 644 $$page $(MAN)/man$${page##*.}/$${page##*/} || exit; done
	for file in README.md LICENSE $$(find config -type f); do \
	    install -D -m 644 $$file $(DOC)/$$file || exit; done

uninstall:
	rm -f $(BIN)/mailhaul
	for page in man/*.[1-8]; do rm -f $(MAN)/man$${page##*.}/$${page##*/}; done
	rm -rf $(DOC)

dist:
	@mkdir -p $(BUILD)
	git archive --prefix=mailhaul-$(VERSION)/ HEAD | gzip -9n >$(BUILD)/mailhaul-$(VERSION).tar.gz
