#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The guests' kernel: Debian's linux-source-6.12, the patches of this folder, and its configuration.
#
#   kernel.sh unpack   unpack the source into $LINUX, as a git tree with one commit tagged `base`
#   kernel.sh apply    put the series on top of `base` (refuses to lose work that is in the tree only)
#   kernel.sh build    configure and compile, and copy the result to $BZIMAGE if it changed
#   kernel.sh refresh  write the commits since `base` back to this folder
#
# Work on the kernel is done with git in $LINUX: commit (or amend, rebase), then refresh.
#
# Debian's security updates change the source. `tested` says which version the series was last refreshed on; on another
# one, it is applied with less context if need be, and what it adds is compiled before the rest.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
LINUX=${LINUX:-$here/../build/linux}
BZIMAGE=${BZIMAGE:-$here/../build/bzImage}
SOURCE=${SOURCE:-/usr/src/linux-source-6.12.tar.xz}
JOBS=${JOBS:-$(nproc)}

die() {
    echo "kernel.sh: $*" >&2
    exit 1
}

# The version of the source that is unpacked: 6.12.N.
version() {
    in_tree show base:Makefile |
        awk '$1 ~ /^(VERSION|PATCHLEVEL|SUBLEVEL)$/ && $2 == "=" { text = text dot $3; dot = "." } END { print text }'
}

in_tree() {
    git -C "$LINUX" -c user.name='Corbel' -c user.email='corbel@localhost' \
        -c core.autocrlf=false -c commit.gpgsign=false -c gc.auto=0 "$@"
}

unpack() {
    command -v git >/dev/null || die "git is missing: it keeps the patched source"
    [ -f "$SOURCE" ] || die "$SOURCE is missing: it comes with the package linux-source-6.12"
    echo "  UNPACK  $SOURCE"
    rm -rf "$LINUX"
    mkdir -p "$LINUX"
    tar -C "$LINUX" --strip-components=1 -xf "$SOURCE"
    # Debian's tree ignores all that is new in it.
    sed -i '/^# Debian packaging: ignore/,$d' "$LINUX/.gitignore"
    in_tree init -q -b corbel
    # One pack instead of 85,000 files.
    in_tree -c core.bigFileThreshold=1 -c core.compression=1 add -A -f .
    GIT_AUTHOR_DATE='@0 +0000' GIT_COMMITTER_DATE='@0 +0000' in_tree commit -q -m "$(basename "$SOURCE" .tar.xz)"
    in_tree tag base
    in_tree rev-parse HEAD >"$LINUX/.git/corbel-applied"
}

# What `apply` left in the tree is what is there now, or has been written back since.
check_saved() {
    [ -z "$(in_tree status --porcelain --untracked-files=no)" ] ||
        die "$LINUX has changes that are not committed: commit and refresh, or: git -C $LINUX reset --hard"
    [ "$(in_tree rev-parse HEAD)" = "$(cat "$LINUX/.git/corbel-applied")" ] ||
        die "$LINUX has commits that are not in the series: refresh, or: git -C $LINUX reset --hard base, and" \
            "git -C $LINUX rev-parse base >$LINUX/.git/corbel-applied"
}

am() {
    GIT_COMMITTER_DATE='@0 +0000' in_tree am -q --keep-non-patch "$@" || {
        in_tree am --abort
        return 1
    }
}

apply() {
    local patches=("$here"/[0-9]*.patch)

    check_saved
    in_tree reset -q --hard base
    in_tree rev-parse HEAD >"$LINUX/.git/corbel-applied"
    if [ -e "${patches[0]}" ]; then
        echo "  APPLY   ${#patches[@]} patches, tested with Linux $(cat "$here/tested"), to $(version)"
        am "${patches[@]}" || {
            echo "kernel.sh: not all of this is as expected; once more with one line of context" >&2
            am -C1 "${patches[@]}"
        } || die "the series does not apply to Linux $(version): it was tested with $(cat "$here/tested")"
    fi
    in_tree rev-parse HEAD >"$LINUX/.git/corbel-applied"
}

kernel_make() {
    local cc=${KERNEL_CC:-gcc}

    command -v ccache >/dev/null && cc="ccache $cc"
    # The caller's make must not meddle: its CC and flags are not for the kernel.
    env -u MAKEFLAGS -u MAKELEVEL -u MFLAGS LC_ALL=C \
        KBUILD_BUILD_TIMESTAMP="$(LC_ALL=C date -u -d "@${SOURCE_DATE_EPOCH:-0}")" \
        KBUILD_BUILD_USER=corbel KBUILD_BUILD_HOST=corbel KBUILD_BUILD_VERSION=1 \
        make -C "$LINUX" --no-print-directory -j"$JOBS" CC="$cc" HOSTCC="${cc}" LOCALVERSION= \
        CORBEL_ABI="$(cd "$here/../hypercall-abi" && pwd)" "$@"
}

# An option that did not take (renamed, or its dependencies are off) is an error, not a surprise.
configure() {
    local line lost=0

    kernel_make -s KCONFIG_ALLCONFIG="$here/config" allnoconfig
    while read -r line; do
        case $line in
        CONFIG_* | "# CONFIG_"*" is not set")
            grep -qxF "$line" "$LINUX/.config" || {
                echo "kernel.sh: option lost: $line" >&2
                lost=1
            }
            ;;
        esac
    done <"$here/config"
    [ $lost = 0 ] || die "the configuration does not fit the source"
}

# Instead of 1,300 lines: the count and the file at work on a terminal, every 100th line elsewhere.
progress() {
    awk -v tty="$([ -t 1 ] && echo 1 || echo 0)" '
        /^  [A-Z][A-Z0-9]* / {
            count++
            if (tty) printf "\r  LINUX   %5d  %-60.60s", count, $2
            else if (count % 100 == 0) printf "  LINUX   %5d  %s\n", count, $2
            fflush()
            next
        }
        NF { if (tty) printf "\r%-75s\r", ""; print; fflush() }
        END { if (tty && count) printf "\r%-75s\r", "" }'
}

# What make is to be told for what the series adds: folders, and objects in folders of others.
own_targets() {
    in_tree diff --name-only --diff-filter=A base HEAD | awk '
        sub(/Makefile$/, "") { print; folder[$0] }
        sub(/\.[cS]$/, ".o") { object[$0] }
        END {
            for (o in object) {
                f = o
                sub(/[^\/]*$/, "", f)
                if (!(f in folder)) print o
            }
        }'
}

build() {
    if [ "$LINUX/.config" -ot "$here/config" ] || [ "$LINUX/.config" -ot "$LINUX/.git/corbel-applied" ]; then
        configure
    fi
    echo "  LINUX   $BZIMAGE (the first time, this takes about 15 minutes of one CPU)"
    kernel_make prepare | progress
    # What the series adds comes first: if it does not fit the source, that is seen soon.
    kernel_make $(own_targets) | progress ||
        die "the series does not compile with Linux $(version): it was tested with $(cat "$here/tested")"
    kernel_make bzImage | progress
    cmp -s "$LINUX/arch/x86/boot/bzImage" "$BZIMAGE" || cp "$LINUX/arch/x86/boot/bzImage" "$BZIMAGE"
}

refresh() {
    [ -z "$(in_tree status --porcelain --untracked-files=no)" ] || die "$LINUX has changes that are not committed"
    rm -f "$here"/[0-9]*.patch
    version >"$here/tested"
    in_tree format-patch -q -N --zero-commit --no-signature --abbrev=12 --no-renames -o "$here" base
    in_tree rev-parse HEAD >"$LINUX/.git/corbel-applied"
    ls "$here"/[0-9]*.patch
}

case ${1:-} in
unpack | apply | build | refresh) "$1" ;;
*) die "usage: kernel.sh unpack | apply | build | refresh" ;;
esac
