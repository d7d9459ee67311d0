# Macros for configure.ac.

# BURSAR_FLAGS(VARIABLE, FLAGS) appends each of FLAGS that the compiler takes without a warning.
# -Werror makes clang refuse what it otherwise only notes as unknown or unused.
AC_DEFUN([BURSAR_FLAGS], [
  for bursar_flag in $2; do
    AC_MSG_CHECKING([whether $CC accepts $bursar_flag])
    bursar_saved_cflags=$CFLAGS
    CFLAGS="$CFLAGS -Werror $bursar_flag"
    AC_COMPILE_IFELSE([AC_LANG_PROGRAM([[#include <string.h>]])],
      [AC_MSG_RESULT([yes])
       AS_VAR_APPEND([$1], [" $bursar_flag"])],
      [AC_MSG_RESULT([no])])
    CFLAGS=$bursar_saved_cflags
  done])

# BURSAR_LINK_FLAGS(VARIABLE, FLAGS) does the same for the linker.
AC_DEFUN([BURSAR_LINK_FLAGS], [
  for bursar_flag in $2; do
    AC_MSG_CHECKING([whether the linker accepts $bursar_flag])
    bursar_saved_ldflags=$LDFLAGS
    LDFLAGS="$LDFLAGS $bursar_flag"
    AC_LINK_IFELSE([AC_LANG_PROGRAM([])],
      [AC_MSG_RESULT([yes])
       AS_VAR_APPEND([$1], [" $bursar_flag"])],
      [AC_MSG_RESULT([no])])
    LDFLAGS=$bursar_saved_ldflags
  done])

# BURSAR_MISSING(WHAT, DEBIAN-PACKAGE) notes something that is not there; BURSAR_REPORT_MISSING
# names all of it at once, so that one apt-get is enough.
AC_DEFUN([BURSAR_MISSING], [
  AS_VAR_APPEND([bursar_missing], [" $1"])
  AS_VAR_APPEND([bursar_missing_debian], [" $2"])])

AC_DEFUN([BURSAR_REPORT_MISSING], [
  AS_IF([test -n "$bursar_missing"], [
    AC_MSG_ERROR([not found:$bursar_missing

On Debian all of it comes with:
    apt-get install --no-install-recommends$bursar_missing_debian
${bursar_useful_debian:+It can be built without, but these would be used too:
    apt-get install --no-install-recommends$bursar_useful_debian
}])])])

# BURSAR_LIBRARY(VARIABLE, PKG-CONFIG-MODULE [OTHER NAMES…], MINIMUM, DEBIAN-PACKAGE) sets
# VARIABLE_CFLAGS and VARIABLE_LIBS from the first of the names that pkg-config knows.
AC_DEFUN([BURSAR_LIBRARY], [
  AC_ARG_VAR([$1_CFLAGS], [C compiler flags for $1, instead of what pkg-config says])
  AC_ARG_VAR([$1_LIBS], [linker flags for $1, instead of what pkg-config says])
  AC_MSG_CHECKING([for $2 >= $3])
  bursar_found=no
  AS_IF([test -n "${$1_LIBS+given}"], [bursar_found=given], [
    for bursar_module in $2; do
      AS_IF([test $bursar_found = no && test -n "$PKG_CONFIG" &&
             $PKG_CONFIG --exists "$bursar_module >= $3" 2>/dev/null], [
        $1_CFLAGS=`$PKG_CONFIG --cflags $bursar_module`
        $1_LIBS=`$PKG_CONFIG --libs $bursar_module`
        bursar_found=`$PKG_CONFIG --modversion $bursar_module`])
    done])
  AC_MSG_RESULT([$bursar_found])
  AS_VAR_SET([bursar_version_$1], [$bursar_found])
  m4_ifval([$4], [AS_IF([test $bursar_found = no], [BURSAR_MISSING(m4_bpatsubst([$2], [ .*]), [$4])])])])
