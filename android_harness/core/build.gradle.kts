import org.jetbrains.kotlin.gradle.dsl.JvmTarget

plugins {
    alias(libs.plugins.kotlin.jvm)
}

java {
    sourceCompatibility = JavaVersion.VERSION_11
    targetCompatibility = JavaVersion.VERSION_11
}

kotlin {
    compilerOptions.jvmTarget = JvmTarget.JVM_11
    sourceSets.test { kotlin.srcDir("../desktop") } // LiteRT's Kotlin API over its desktop library
}

dependencies {
    testImplementation(libs.junit)
}

// `jvm_test.sh core build/vectors` makes both, and runs the same tests without Gradle.
tasks.test {
    systemProperty("hearlite.vectors", rootDir.resolve("build/vectors"))
    systemProperty("hearlite.bridge", rootDir.resolve("build/liblitert_bridge.so"))
}
