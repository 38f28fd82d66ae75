#!/usr/bin/env bash
# Compile and test the Kotlin of this folder on the JVM, without Gradle or an Android SDK.
#
#   jvm_test.sh fetch                 put the Kotlin compiler (npm package kotlin-compiler) into the cache
#   jvm_test.sh core VECTORS          compile core/ and the app's LiteRT glue, run their tests on what tests/support/android_vectors.py wrote to VECTORS
#   jvm_test.sh app                   type-check the whole app against an android.jar
#   jvm_test.sh run FILE.kt ARG...    compile a file against core/ and LiteRT's Kotlin API (desktop/), and run its main
#
# HEARLITE_BUILD (default: build/ in this folder) keeps what is compiled; it is made anew only when a source is newer. Tools are looked for where
# a variable says, or else as follows:
#   JDK, 17 or newer     javac on the PATH
#   HEARLITE_KOTLIN      folder with lib/kotlin-compiler.jar; the cache
#   HEARLITE_JUNIT       folder with junit4.jar and hamcrest.jar (JUnit 4); /usr/share/java, where Debian's junit4 and libhamcrest-java put them
#   HEARLITE_LITERT      folder with libLiteRt.so; that of the Python package ai-edge-litert
#   HEARLITE_ANDROID_JAR an android.jar of API 23 or later, for `app`; that of Debian's libandroid-23-java
#   CC                   C compiler
# Exit code 77: one of them is missing, and stderr says which and how to get it. 1: a test failed, or something didn't compile.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
build=${HEARLITE_BUILD:-$here/build}
cache=${XDG_CACHE_HOME:-$HOME/.cache}/hearlite
kotlin_version=2.4.20 # that this code was compiled with
kotlin=${HEARLITE_KOTLIN:-$cache/kotlin-compiler-$kotlin_version}
junit=${HEARLITE_JUNIT:-/usr/share/java}
android_jar=${HEARLITE_ANDROID_JAR:-/usr/lib/android-sdk/platforms/android-23/android.jar}
stdlib=$kotlin/lib/kotlin-stdlib.jar

missing() { echo "jvm_test.sh: $1 is not found: $2" >&2; exit 77; }

fetch() { # into a temporary folder first: an interrupted download must not look like a compiler
  command -v npm >/dev/null || missing "npm" "install it, or set HEARLITE_KOTLIN"
  [ ! -e "$kotlin" ] || { echo "$kotlin is there"; return; }
  mkdir -p "$cache"
  local temporary
  temporary=$(mktemp -d "$cache/kotlin.XXXXXX")
  (cd "$temporary" && npm pack --silent "kotlin-compiler@$kotlin_version" >/dev/null && tar -xzf kotlin-compiler-*.tgz)
  mv "$temporary/package" "$kotlin"
  rm -rf "$temporary"
}

need_compiler() {
  command -v javac >/dev/null || missing "a JDK" "install one, 17 or newer (Debian: openjdk-17-jdk-headless)"
  [ -f "$kotlin/lib/kotlin-compiler.jar" ] || missing "the Kotlin compiler in $kotlin" "run: jvm_test.sh fetch, or set HEARLITE_KOTLIN"
}

need_bridge() {
  jdk=$(dirname "$(dirname "$(readlink -f "$(command -v javac)")")")
  [ -f "$jdk/include/jni.h" ] || missing "jni.h in $jdk/include" "install the whole JDK, with its headers"
  litert=${HEARLITE_LITERT:-$(python3 -c 'import importlib.util as u; print(u.find_spec("ai_edge_litert").submodule_search_locations[0])' 2>/dev/null || true)}
  [ -f "$litert/libLiteRt.so" ] || missing "libLiteRt.so" "pip install ai-edge-litert on Linux, or set HEARLITE_LITERT"
  command -v "${CC:-cc}" >/dev/null || missing "a C compiler" "install one (Debian: gcc), or set CC"
}

kotlinc() { # OUT CLASSPATH SOURCES_OR_OPTIONS...
  local out=$1 classpath=$2; shift 2
  rm -rf "$out"
  java -Xmx1g -cp "$(printf '%s:' "$kotlin"/lib/*.jar)" org.jetbrains.kotlin.cli.jvm.K2JVMCompiler \
    -no-stdlib -no-reflect -jvm-target 11 -Werror -classpath "$classpath" -d "$out" "$@" || { rm -rf "$out"; exit 1; }
}

stale() { # OUT SOURCES...
  local out=$1; shift
  [ ! -e "$out" ] || [ -n "$(find "$@" "$here/jvm_test.sh" -type f -newer "$out" -print -quit)" ]
}

compile_core() {
  mkdir -p "$build"
  if stale "$build/core" "$here/core/src/main"; then kotlinc "$build/core" "$stdlib" "$here/core/src/main/kotlin"; fi
}

compile_desktop() { # what LiteRT's AAR is to an app
  if stale "$build/asset-manager" "$here/desktop"; then kotlinc "$build/asset-manager" "$stdlib" "$here/desktop/android"; fi
  if stale "$build/desktop" "$here/desktop"; then kotlinc "$build/desktop" "$stdlib:$build/asset-manager" "$here"/desktop/*.kt; fi
}

compile_bridge() {
  if stale "$build/liblitert_bridge.so" "$here/desktop" "$here/../benchmarks/android/native/litert.h"; then
    "${CC:-cc}" -O2 -Wall -Wextra -Werror -shared -fPIC -I"$jdk/include" -I"$jdk/include/linux" -o "$build/liblitert_bridge.so" \
      "$here/desktop/litert_bridge.c" -L"$litert" -lLiteRt -Wl,-rpath,"$litert"
  fi
}

test_core() {
  local vectors classpath classes
  vectors=$(cd "$1" && pwd)
  need_compiler
  for jar in junit4 hamcrest; do
    [ -f "$junit/$jar.jar" ] || missing "$junit/$jar.jar" "install JUnit 4 (Debian: junit4 libhamcrest-java), or set HEARLITE_JUNIT"
  done
  need_bridge
  compile_core
  compile_desktop
  compile_bridge
  classpath=$build/core:$build/desktop:$build/asset-manager:$stdlib:$junit/junit4.jar:$junit/hamcrest.jar
  if stale "$build/core-tests" "$here/core/src" "$here/desktop"; then # they see what is internal in core, as under Gradle
    kotlinc "$build/core-tests" "$classpath" -Xfriend-paths="$build/core" "$here/core/src/test/kotlin"
  fi
  classpath=$build/core-tests:$classpath
  if stale "$build/glue-tests" "$here/core/src" "$here/app/src" "$here/desktop"; then
    kotlinc "$build/glue-tests" "$classpath" "$here/app/src/main/kotlin/hearlite/app/LiteRtEmbedder.kt" "$here/app/src/test/kotlin"
  fi
  mapfile -t classes < <(cd "$build" && find core-tests glue-tests -name '*Test.class' | sed 's|^[^/]*/||; s|/|.|g; s|\.class$||' | sort)
  [ ${#classes[@]} -gt 0 ] || { echo "jvm_test.sh: no test was compiled" >&2; exit 1; }
  java -Dhearlite.vectors="$vectors" -Dhearlite.bridge="$build/liblitert_bridge.so" -cp "$build/glue-tests:$classpath" \
    org.junit.runner.JUnitCore "${classes[@]}"
}

check_app() {
  need_compiler
  [ -f "$android_jar" ] || missing "$android_jar" "install Debian's libandroid-23-java (in sid), or set HEARLITE_ANDROID_JAR to that of an SDK"
  compile_core
  compile_desktop
  kotlinc "$build/app" "$android_jar:$build/core:$build/desktop:$stdlib" "$here/app/src/main/kotlin"
  echo "the app type-checks against $android_jar"
}

run_file() {
  local file=$1 name out; shift
  name=$(basename "$file" .kt)
  out=$build/run-$name
  need_compiler
  need_bridge
  compile_core
  compile_desktop
  compile_bridge
  kotlinc "$out" "$build/core:$build/desktop:$build/asset-manager:$stdlib" "$file"
  java -Dhearlite.bridge="$build/liblitert_bridge.so" -cp "$out:$build/core:$build/desktop:$build/asset-manager:$stdlib" "${name^}Kt" "$@"
}

case "${1:-}" in
  fetch) fetch ;;
  core) test_core "${2:?usage: jvm_test.sh core VECTORS}" ;;
  app) check_app ;;
  run) run_file "${2:?usage: jvm_test.sh run FILE.kt ARG...}" "${@:3}" ;;
  *) sed -n '2,/^set /p' "$0" | sed '$d; s/^# \{0,1\}//' >&2; exit 2 ;;
esac
