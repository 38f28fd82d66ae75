#!/usr/bin/env bash
# Compile core/ and its tests on the JVM, and run them, without Gradle or an Android SDK.
#
#   jvm_test.sh [--fetch] VECTORS [BUILD]
#
# VECTORS is what tests/android_vectors.py wrote; BUILD (default: android_harness/build) keeps the compiled classes, which are made anew only when
# a source is newer. Needed, and looked for where the variable says, or else as follows:
#   JDK 17 or newer      javac on the PATH
#   HEARLITE_KOTLIN      folder with lib/kotlin-compiler.jar: the npm package kotlin-compiler, which --fetch puts into the cache
#   HEARLITE_JUNIT       folder with junit4.jar and hamcrest.jar (JUnit 4); Debian's junit4 and libhamcrest-java put them into /usr/share/java
#   HEARLITE_LITERT      folder with libLiteRt.so; the Python package ai-edge-litert has it
#   CC                   C compiler for the bridge to it
# Exit code 77: one of them is missing, and stderr says which and how to get it. 1: a test failed.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/hearlite
kotlin_version=2.4.20 # that this code was compiled with
fetch=
if [ "${1:-}" = --fetch ]; then fetch=1; shift; fi
vectors=$(cd "${1:?usage: jvm_test.sh [--fetch] VECTORS [BUILD]}" && pwd)
build=${2:-$here/build}

missing() { echo "jvm_test.sh: $1 is not found: $2" >&2; exit 77; }

find_tools() {
  command -v javac >/dev/null || missing "a JDK" "install one, 17 or newer (Debian: openjdk-17-jdk-headless)"
  jdk=$(dirname "$(dirname "$(readlink -f "$(command -v javac)")")")
  [ -f "$jdk/include/jni.h" ] || missing "jni.h in $jdk/include" "install the whole JDK, with its headers"
  kotlin=${HEARLITE_KOTLIN:-$cache/kotlin-compiler-$kotlin_version}
  if [ ! -f "$kotlin/lib/kotlin-compiler.jar" ] && [ -n "$fetch" ]; then fetch_kotlin; fi
  [ -f "$kotlin/lib/kotlin-compiler.jar" ] || missing "the Kotlin compiler in $kotlin" "run jvm_test.sh --fetch, which needs npm, or set HEARLITE_KOTLIN"
  junit=${HEARLITE_JUNIT:-/usr/share/java}
  for jar in junit4 hamcrest; do
    [ -f "$junit/$jar.jar" ] || missing "$junit/$jar.jar" "install JUnit 4 (Debian: junit4 libhamcrest-java), or set HEARLITE_JUNIT"
  done
  litert=${HEARLITE_LITERT:-$(python3 -c 'import importlib.util as u; print(u.find_spec("ai_edge_litert").submodule_search_locations[0])' 2>/dev/null || true)}
  [ -f "$litert/libLiteRt.so" ] || missing "libLiteRt.so" "pip install ai-edge-litert on Linux, or set HEARLITE_LITERT"
  command -v "${CC:-cc}" >/dev/null || missing "a C compiler" "install one (Debian: gcc), or set CC"
}

fetch_kotlin() { # into a temporary folder first: an interrupted download must not look like a compiler
  command -v npm >/dev/null || missing "npm" "install it, or set HEARLITE_KOTLIN"
  mkdir -p "$cache"
  local temporary
  temporary=$(mktemp -d "$cache/kotlin.XXXXXX")
  (cd "$temporary" && npm pack --silent "kotlin-compiler@$kotlin_version" >/dev/null && tar -xzf kotlin-compiler-*.tgz)
  mv "$temporary/package" "$kotlin"
  rm -rf "$temporary"
}

kotlinc() { # OUT SOURCE_FOLDER CLASSPATH OPTIONS...
  local out=$1 sources=$2 classpath=$3; shift 3
  rm -rf "$out"
  java -Xmx1g -cp "$(printf '%s:' "$kotlin"/lib/*.jar)" org.jetbrains.kotlin.cli.jvm.K2JVMCompiler \
    -no-stdlib -no-reflect -jvm-target 11 -Werror -classpath "$classpath" -d "$out" "$@" "$sources"
}

stale() { # OUT SOURCE_FOLDERS...
  local out=$1; shift
  [ ! -e "$out" ] || [ -n "$(find "$@" "$here/jvm_test.sh" -type f -newer "$out" -print -quit)" ]
}

find_tools
stdlib=$kotlin/lib/kotlin-stdlib.jar
mkdir -p "$build"
if stale "$build/core" "$here/core/src/main"; then kotlinc "$build/core" "$here/core/src/main/kotlin" "$stdlib"; fi
tests_classpath=$build/core:$stdlib:$junit/junit4.jar:$junit/hamcrest.jar
# The tests see what is internal in core, as they do under Gradle.
if stale "$build/core-tests" "$here/core/src"; then
  kotlinc "$build/core-tests" "$here/core/src/test/kotlin" "$tests_classpath" -Xfriend-paths="$build/core"
fi
if stale "$build/liblitert_bridge.so" "$here/core/src/test/c"; then
  "${CC:-cc}" -O2 -Wall -Wextra -Werror -shared -fPIC -I"$jdk/include" -I"$jdk/include/linux" -o "$build/liblitert_bridge.so" \
    "$here/core/src/test/c/litert_bridge.c" -L"$litert" -lLiteRt -Wl,-rpath,"$litert"
fi
mapfile -t classes < <(cd "$build/core-tests" && find . -name '*Test.class' | sed 's|^\./||; s|/|.|g; s|\.class$||' | sort)
[ ${#classes[@]} -gt 0 ] || { echo "jvm_test.sh: no test was compiled" >&2; exit 1; }
java -Dhearlite.vectors="$vectors" -Dhearlite.bridge="$build/liblitert_bridge.so" -cp "$build/core-tests:$tests_classpath" \
  org.junit.runner.JUnitCore "${classes[@]}"
