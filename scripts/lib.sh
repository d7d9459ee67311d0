# shellcheck shell=bash
# What scripts/run and scripts/test share; they source it.

# The checkout, by a way without odd characters: autoconf refuses a path with a space in it, a
# symbolic link to it serves. Sets $top, and $plain: a folder for what looks through such a link.
find_top() {
    top=$(cd "$(dirname "${BASH_SOURCE[1]}")/.." && pwd -P)
    # shellcheck disable=SC2034 # for those who source this
    plain=$top/build
    case $top in
    *[!A-Za-z0-9/._+,@%-]*)
        local folder
        folder=${TMPDIR:-/tmp}/bursar-$(id -u)-$(printf %s "$top" | cksum | tr -dc 0-9)
        mkdir -m 0755 -p "$folder" # tests run programs of it as somebody else
        if [ ! -O "$folder" ]; then
            echo "$0: $folder belongs to somebody else" >&2
            exit 1
        fi
        chmod 0755 "$folder"
        ln -sfn "$top" "$folder/checkout"
        top=$folder/checkout
        plain=$folder
        ;;
    esac
}

# Makes ./configure where an input of it is newer.
autogen() {
    local newer
    if [ -e "$top/configure" ]; then
        newer=$(find "$top/configure.ac" "$top/Makefile.am" "$top/m4/bursar.m4" "$top"/*/Makefile.inc \
            -newer "$top/configure")
        [ -n "$newer" ] || return 0
    fi
    "$top/autogen.sh"
}

# configure_in FOLDER OPTION…: an out of tree build, kept while its options and configure stay the same.
configure_in() {
    local folder=$1 wanted
    shift
    wanted="$top $* $(cksum <"$top/configure")"
    if [ -e "$folder/Makefile" ] && [ "$(cat "$folder/.configured" 2>/dev/null)" = "$wanted" ]; then
        return 0
    fi
    rm -rf "$folder"
    mkdir -p "$folder"
    (cd "$folder" && "$top/configure" "$@") && printf '%s\n' "$wanted" >"$folder/.configured"
}

# The identity provider's packages, again only when what is asked for has changed.
install_idp() {
    local idp=$top/tests/idp stamp wanted
    stamp=$idp/node_modules/.installed
    wanted="$(node --version) $(cksum <"$idp/package-lock.json")"
    [ "$(cat "$stamp" 2>/dev/null)" != "$wanted" ] || return 0
    (cd "$idp" && npm ci --no-audit --no-fund --ignore-scripts --loglevel=error) &&
        printf '%s\n' "$wanted" >"$stamp"
}
