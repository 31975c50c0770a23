# SPDX-License-Identifier: MIT
# make            builds build/moonflash        make demo      flashes a simulated board
# make test       runs the tests                make check     runs those that are soon done
# make bench      measures                      make soak      what takes an hour: stations
# make fuzz       runs the fuzz targets         FUZZ_SECONDS=60, for each of them
# make deps       installs what a build needs   make deps-test and what the tests need
# make WERROR=-Werror    warnings are errors, as for `make test`
# make install    PREFIX=/usr/local DESTDIR=    make lint, make format
# make dist       a tarball                     make deb, make test-deb, make test-debian13

VERSION  = 0.2.0
CC      ?= cc
CFLAGS  ?= -O2 -g
WARNINGS = -Wall -Wextra -Wshadow -Wundef -Wwrite-strings -Wmissing-prototypes \
           -Wstrict-prototypes -Wconversion
WERROR  ?=
PREFIX  ?= /usr/local
MANDIR  ?= $(PREFIX)/share/man
UDEVDIR ?= /etc/udev/rules.d
BASHDIR ?= $(PREFIX)/share/bash-completion/completions
ZSHDIR  ?= $(PREFIX)/share/zsh/site-functions
FISHDIR ?= $(PREFIX)/share/fish/vendor_completions.d
BUILD   ?= build

# Lua 5.4.4 is the oldest that works: since then lua_gc tells that a finalizer runs
# (src/lua/task.c).  Its name for pkg-config differs from system to system.
LUA_PC  := $(shell for n in lua5.4 lua-5.4 lua54 lua; do \
             pkg-config --exists "$$n >= 5.4.4" 2>/dev/null && echo $$n && break; done)
LUA_CFLAGS = $(shell pkg-config --cflags $(LUA_PC))
LUA_LIBS   = $(shell pkg-config --libs $(LUA_PC))

USB_CFLAGS = $(shell pkg-config --cflags libusb-1.0)
USB_LIBS   = $(shell pkg-config --libs libusb-1.0)
MD_CFLAGS  = $(shell pkg-config --cflags libmd)
MD_LIBS    = $(shell pkg-config --libs libmd)

# The station's database, and its page, whose library is loaded when it is needed.
STORE_CFLAGS = $(shell pkg-config --cflags sqlite3)
STORE_LIBS   = $(shell pkg-config --libs sqlite3)
HTTP_CFLAGS  = $(shell pkg-config --cflags libmicrohttpd)

# Line editing at the prompt; LIBEDIT=0 leaves it to the terminal.
LIBEDIT ?= 1
ifneq ($(LIBEDIT),0)
EDIT_CFLAGS = $(shell pkg-config --cflags libedit)
EDIT_LIBS   = $(shell pkg-config --libs libedit)
NOT_BUILT   = src/loop/noedit.c
else
NOT_BUILT   = src/loop/edit.c src/loop/search.c
endif

# Pure Lua libraries of the system's, built in.
LUA_SHARE ?= /usr/share/lua/5.4
ARGPARSE  ?= $(LUA_SHARE)/argparse.lua
DKJSON    ?= $(LUA_SHARE)/dkjson.lua

ALL_CFLAGS = -std=c11 -D_GNU_SOURCE -DMOONFLASH_VERSION='"$(VERSION)"' $(WARNINGS) $(WERROR) \
             $(CPPFLAGS) $(CFLAGS) $(SANITIZE) $(LUA_CFLAGS) $(USB_CFLAGS) $(MD_CFLAGS) $(EDIT_CFLAGS) \
             $(STORE_CFLAGS) $(HTTP_CFLAGS) -Isrc
# -rdynamic: Lua's C modules find the Lua functions in us if Lua is linked statically.
ALL_LDFLAGS = -rdynamic $(LDFLAGS) $(SANITIZE)

SOURCES  := $(filter-out $(NOT_BUILT),$(sort $(wildcard src/*.c src/*/*.c)))
OBJECTS  := $(SOURCES:src/%.c=$(BUILD)/%.o) $(BUILD)/embedded.o
BUILTIN  := $(sort $(shell find lua scripts -name '*.lua' -not -path 'lua/library/*')) \
             $(sort $(wildcard docs/*.md)) lua/moonflash/station/page.html

# `make` also makes what `make install` copies, so that root builds nothing.
default: all to-install

all: $(BUILD)/moonflash

LIBS = $(LUA_LIBS) $(USB_LIBS) $(MD_LIBS) $(EDIT_LIBS) $(STORE_LIBS) -lm

$(BUILD)/moonflash: $(OBJECTS)
	@echo LD $@; $(CC) $(ALL_LDFLAGS) -o $@ $(OBJECTS) $(LIBS)

$(BUILD)/%.o: src/%.c Makefile | $(BUILD) check-deps
	@mkdir -p $(@D)
	@echo CC $@; $(CC) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

# build/moonflash reads lua/ and scripts/ from this tree; what is installed does not know of it.
build/main.o: ALL_CFLAGS += -DMOONFLASH_TREE='"$(CURDIR)"'

$(BUILD)/installed/main.o: src/main.c Makefile | check-deps
	@mkdir -p $(@D)
	@echo CC $@; $(CC) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

$(BUILD)/installed/moonflash: $(BUILD)/installed/main.o $(OBJECTS)
	@echo LD $@; $(CC) $(ALL_LDFLAGS) -o $@ $< $(filter-out $(BUILD)/main.o,$(OBJECTS)) $(LIBS)

$(BUILD)/embedded.o: $(BUILD)/embedded.c
	@echo CC $@; $(CC) $(ALL_CFLAGS) -c -o $@ $<

$(BUILD)/embedded.c: src/embed.sh $(BUILTIN) | $(BUILD) check-deps
	@src/embed.sh $(foreach f,$(BUILTIN),$(f)=$(f)) \
	  lua/argparse.lua=$(ARGPARSE) lua/dkjson.lua=$(DKJSON) > $@.new
	@mv $@.new $@

$(BUILD):
	mkdir -p $@

-include $(OBJECTS:.o=.d) $(BUILD)/installed/main.d

# ---- what is installed beside the program ----

# Their texts are those of docs/ and of the program.
PAGES = moonflash.1 moonflash-recipe.7 moonflash-station.1 moonflash-dfu-util.1 moonflash-api.3lua

# Items of a list with their terms, as man(7) has them: lowdown's own lose a line at the end of a page.
TAGGED = -e ':a' -e N -e '$$!ba' -e 's/\.LP\n\([^\n]*\)\n\.if n \\\n\.sp -1v\n\.if t \\\n\.sp -0\.25v\n\.IP "" 5n\n/.TP 5n\n\1\n/g'

to-install: $(BUILD)/installed/moonflash $(BUILD)/installed/70-moonflash.rules \
            $(PAGES:%=$(BUILD)/installed/%)

$(BUILD)/installed/70-moonflash.rules: $(BUILD)/moonflash
	@mkdir -p $(@D)
	@$< udev > $@

$(PAGES:%=$(BUILD)/installed/%): $(BUILD)/installed/%: src/manpages.lua $(BUILD)/moonflash
	@mkdir -p $(@D)
	@echo MAN $@; $(BUILD)/moonflash $< $* > $@.md
	@lowdown -s -tman --out-no-smarty $@.md | sed $(TAGGED) > $@

.PHONY: check-deps
check-deps:
	@test -n "$(LUA_PC)" && test -f $(ARGPARSE) && test -f $(DKJSON) || \
	  { echo "Lua 5.4.4, lua-argparse or lua-dkjson is missing: 'make deps' installs them." >&2; \
	    exit 1; }
	@pkg-config --exists sqlite3 libmicrohttpd || \
	  { echo "sqlite3 or libmicrohttpd is missing: 'make deps' installs them." >&2; exit 1; }
	@command -v lowdown >/dev/null || \
	  { echo "lowdown is missing: 'make deps' installs it." >&2; exit 1; }
	@test "$(LIBEDIT)" = 0 || pkg-config --exists libedit || \
	  { echo "libedit is missing: 'make deps' installs it, 'make LIBEDIT=0' does without." >&2; \
	    exit 1; }

# ---- firmware for the demo and the tests ----

FIRMWARE = build/ch.bin build/app.bin build/ch.elf

firmware: $(FIRMWARE)

$(FIRMWARE) &: tests/firmware/ch.s tests/firmware/ch.ld tests/firmware/Makefile
	@mkdir -p build
	@$(MAKE) -s --no-print-directory -C tests/firmware OUT=$(CURDIR)/build

# ---- tests: on a build of their own, with sanitizers ----

ASAN       = build/asan
SANITIZERS = -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
C_TESTS   := $(patsubst %.c,$(ASAN)/%,$(sort $(notdir $(wildcard tests/c/*/test_*.c))))
# What a C test is linked with: all but what needs the Lua side.
PURE       = $(addprefix dfu/, board dfu dfuact dfuexchange) \
             $(addprefix loop/, loop outlet proc serial timers) \
             $(addprefix sim/, sim simdfu simkind simmem simport simproduct simreplay simstd) \
             $(addprefix usbip/, usbip usbipconn usbipmsg usbipplug)

asan:
	@$(MAKE) --no-print-directory BUILD=$(ASAN) SANITIZE="$(SANITIZERS)" CFLAGS="-O1 -g" all

# The C tests, and that build with them: one make, so that objects are built once.
c-tests:
	@$(MAKE) --no-print-directory BUILD=$(ASAN) SANITIZE="$(SANITIZERS)" CFLAGS="-O1 -g" \
	  all $(C_TESTS)

vpath test_%.c $(wildcard tests/c/*)

$(ASAN)/test_%: test_%.c $(PURE:%=$(ASAN)/%.o) $(wildcard tests/c/*/*.h)
	@echo CC $@; $(CC) $(ALL_CFLAGS) -Itests/c -o $@ $< $(PURE:%=$(ASAN)/%.o) \
	  $(SANITIZE) -lcmocka -lm

# The umockdev bed: simulated boards behind usbfs ioctls, for real libusb (docs/testing.md).
BED         = $(BUILD)/umockdev
BED_OBJECTS = $(patsubst tests/usb/umockdev/%.c,$(BED)/%.o,$(wildcard tests/usb/umockdev/*.c))
BED_SIM     = $(addprefix sim/, sim simdfu simkind simmem simproduct simreplay simstd)
BED_CFLAGS  = $(shell pkg-config --cflags umockdev-1.0 | sed 's/-I/-isystem /g')
BED_LIBS    = $(shell pkg-config --libs umockdev-1.0)

bed: $(BED)/bed

$(BED)/bed: $(BED_OBJECTS) $(BED_SIM:%=$(BUILD)/%.o)
	@echo LD $@; $(CC) $(LDFLAGS) $(SANITIZE) -o $@ $^ $(BED_LIBS) $(LUA_LIBS) -lm

$(BED)/%.o: tests/usb/umockdev/%.c $(wildcard tests/usb/umockdev/*.h) src/sim/sim.h Makefile
	@mkdir -p $(@D)
	@echo CC $@; $(CC) $(ALL_CFLAGS) $(BED_CFLAGS) -c -o $@ $<

# The fuzz targets: libFuzzer, with clang's sanitizers (docs/testing.md).  The two that run Lua are
# linked with all but main(), the others with what needs no Lua.
FUZZ         = build/fuzz
FUZZ_SECONDS = 60
FUZZERS      = $(patsubst tests/fuzz/%.c,$(FUZZ)/fuzz_%,$(wildcard tests/fuzz/*.c))
FUZZ_LUA     = $(FUZZ)/fuzz_image $(FUZZ)/fuzz_descriptor
FUZZ_MAKE    = $(MAKE) --no-print-directory BUILD=$(FUZZ) CC=clang CFLAGS="-O1 -g" \
               SANITIZE="-fsanitize=fuzzer-no-link $(SANITIZERS)"

fuzz: deps-test fuzz-targets
	@FUZZ_SECONDS=$(FUZZ_SECONDS) tests/fuzz/run.sh

fuzz-targets:
	@$(FUZZ_MAKE) $(FUZZERS)

$(FUZZ_LUA): $(filter-out $(BUILD)/main.o,$(OBJECTS))

$(FUZZ)/fuzz_%: tests/fuzz/%.c $(PURE:%=$(BUILD)/%.o) $(wildcard tests/fuzz/*.h) Makefile
	@echo CC $@; $(CC) $(ALL_CFLAGS) -DMOONFLASH_TREE='"$(CURDIR)"' -fsanitize=fuzzer -o $@ $< \
	  $(filter %.o,$^) $(if $(filter $@,$(FUZZ_LUA)),$(LIBS),-lm)

# That clang builds it, too.
clang:
	@$(MAKE) --no-print-directory BUILD=build/clang CC=clang all

test: BEDS = bed fuzz-targets clang
test: test-build
	@tests/run.sh

# All but the beds and the fuzz targets: for every commit.
check: test-build
	@tests/run.sh quick

# The quick tests on the build that is there, without sanitizers: what a package runs while it is
# built.
check-build: all firmware
	@$(MAKE) --no-print-directory c-tests ASAN=$(BUILD) SANITIZERS=
	@BUILD=$(BUILD) tests/run.sh quick

# One make for all builds, so that no processor waits; for `make test` with BEDS.
test-build: deps-test
	@$(MAKE) --no-print-directory WERROR=-Werror -j$$(nproc) c-tests firmware all $(BEDS) lint
	@cp $(FIRMWARE) $(ASAN)/

# ---- lint ----

C_FILES = $(wildcard src/*.[ch] src/*/*.[ch] tests/*.c tests/c/*/*.[ch] tests/fuzz/*.[ch] \
            tests/usb/umockdev/*.[ch] tests/station/*.c)

# Versions of clang-format lay code out differently: this is the one that CONTRIBUTING.md names.
CLANG_FORMAT = 14
is_clang_format = clang-format --version | grep -q 'version $(CLANG_FORMAT)\.'

lint:
	@if $(is_clang_format); then clang-format --dry-run -Werror $(C_FILES); \
	else echo "skipped: the format of C files: clang-format is not version $(CLANG_FORMAT)"; fi
	@luacheck -q lua scripts tests src/manpages.lua
	@lua5.4 tests/floors.lua

format:
	@$(is_clang_format) || \
	  { echo "This takes clang-format $(CLANG_FORMAT): CONTRIBUTING.md." >&2; exit 1; }
	clang-format -i $(C_FILES)

# ---- what must be installed ----

DEPS      = gcc make pkg-config liblua5.4-dev libusb-1.0-0-dev libmd-dev libedit-dev \
            libsqlite3-dev libmicrohttpd-dev lua-argparse lua-dkjson lowdown \
            binutils-arm-none-eabi
DEPS_TEST = $(DEPS) lua5.4 lua-unit lua-cjson lua-check libcmocka-dev clang clang-format \
            libclang-rt-dev qemu-system-arm qemu-system-x86 busybox-static usbip dfu-util \
            cpio kmod xz-utils libumockdev-dev umockdev chromium tshark tmux procps \
            chromium-driver curl bash zsh fish man-db

define install_packages
@command -v dpkg-query >/dev/null || { \
  echo "This is no Debian: please install what these packages hold: $(1)" >&2; exit 1; }; \
missing=$$(for p in $(1); do \
  dpkg-query -W -f '$${Status}' $$p 2>/dev/null | grep -q '^install ok installed' || echo $$p; \
done); \
test -z "$$missing" || { \
  echo "Installing with apt:" $$missing; \
  if test "$$(id -u)" = 0; then sudo=; else sudo=sudo; fi; \
  $$sudo apt-get update -q && \
  DEBIAN_FRONTEND=noninteractive $$sudo apt-get install -y -q --no-install-recommends $$missing; }
endef

deps:
	$(call install_packages,$(DEPS))

deps-test:
	$(call install_packages,$(DEPS_TEST))

# ---- the rest ----

demo: deps
	@$(MAKE) --no-print-directory all firmware
	@echo "build/moonflash --device sim:f407 discovery build/ch.bin"
	@build/moonflash --device sim:f407 discovery build/ch.bin

# What takes an hour: stations that are killed, and thousands of units.
soak: all firmware
	KILLS=300 tests/cli/test_station.sh
	tests/station/soak.sh
	SOAK=1 tests/usb/kernel/run.sh station

# The pictures of the README, from real runs.
pictures: all firmware
	docs/pictures/make.sh

bench: all firmware bed build/bench_prompt
	@tests/bench.sh

build/bench_prompt: tests/bench_prompt.c
	@echo CC $@; $(CC) $(ALL_CFLAGS) -o $@ $< -lutil

# Links for programs that call dfu-util, in a folder of their own: docs/dfu-util.md.
STAND_INS = dfu-util dfu-suffix dfu-prefix

install: to-install
	install -D -m 755 $(BUILD)/installed/moonflash $(DESTDIR)$(PREFIX)/bin/moonflash
	install -d $(DESTDIR)$(PREFIX)/lib/moonflash/bin
	for name in $(STAND_INS); do \
	  ln -sf ../../../bin/moonflash $(DESTDIR)$(PREFIX)/lib/moonflash/bin/$$name; done
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/moonflash/library lua/library/moonflash.lua
	for page in $(PAGES); do number=$${page##*.}; \
	  install -D -m 644 -t $(DESTDIR)$(MANDIR)/man$${number%lua} $(BUILD)/installed/$$page \
	  || exit; done
	install -D -m 644 scripts/completions/moonflash.bash $(DESTDIR)$(BASHDIR)/moonflash
	install -D -m 644 -t $(DESTDIR)$(ZSHDIR) scripts/completions/_moonflash
	install -D -m 644 -t $(DESTDIR)$(FISHDIR) scripts/completions/moonflash.fish
	install -D -m 644 -t $(DESTDIR)$(UDEVDIR) $(BUILD)/installed/70-moonflash.rules

uninstall:
	rm -f $(DESTDIR)$(PREFIX)/bin/moonflash $(DESTDIR)$(UDEVDIR)/70-moonflash.rules \
	  $(DESTDIR)$(BASHDIR)/moonflash $(DESTDIR)$(ZSHDIR)/_moonflash \
	  $(DESTDIR)$(FISHDIR)/moonflash.fish
	rm -rf $(DESTDIR)$(PREFIX)/lib/moonflash $(DESTDIR)$(PREFIX)/share/moonflash/library
	for page in $(PAGES); do rm -f $(DESTDIR)$(MANDIR)/man?/$$page; done

# ---- releases ----

# A tarball of the last commit, which builds without git.
dist:
	@mkdir -p build
	git archive --prefix=moonflash-$(VERSION)/ HEAD | gzip -n9 > build/moonflash-$(VERSION).tar.gz

# A Debian package of the last commit, in build/deb.
deb: dist
	@tests/package/build.sh $(VERSION)

# The package, installed, used and removed in a Debian 12 of its own; the README's commands and
# `make check` on a bare Debian 12 or 13.  As root, with debootstrap.
test-deb: deb
	@tests/package/install.sh build/deb/moonflash_$(VERSION)_*.deb

test-debian12:
	@tests/package/readme.sh bookworm

test-debian13:
	@tests/package/readme.sh trixie

clean:
	rm -rf build

.PHONY: all asan bed bench c-tests check check-build clang clean deb default demo deps deps-test \
        dist firmware format fuzz fuzz-targets install lint pictures soak test test-build test-deb \
        test-debian12 test-debian13 to-install uninstall
