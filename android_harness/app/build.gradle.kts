plugins {
    alias(libs.plugins.android.application)
}

android {
    namespace = "hearlite.app"
    compileSdk = 36

    defaultConfig {
        applicationId = "hearlite.app"
        minSdk = 26
        targetSdk = 36
        versionCode = 1
        versionName = "0.1.0"
        ndk { abiFilters += listOf("arm64-v8a", "x86_64") } // phones, and emulators
    }
    compileOptions {
        sourceCompatibility = JavaVersion.VERSION_11
        targetCompatibility = JavaVersion.VERSION_11
    }
    androidResources { noCompress += "tflite" } // so that LiteRT can map the file where it lies
    packaging { jniLibs { useLegacyPackaging = false } } // libraries stay uncompressed and aligned to 16 KB pages
    sourceSets["test"].kotlin.directories.clear() // they run on the JVM, over desktop/: jvm_test.sh core
}

dependencies {
    implementation(project(":core"))
    implementation(libs.litert)
}
