package com.google.ai.edge.litert

import java.io.File

/** LiteRT's desktop library by way of `litert_bridge.c`: one model, its first signature, one float32 input, float32 outputs. */
internal object Bridge {
    init {
        val path = checkNotNull(System.getProperty("hearlite.bridge")) { "-Dhearlite.bridge is missing: run android_harness/jvm_test.sh" }
        System.load(File(path).absolutePath)
    }

    @JvmStatic external fun open(path: String): Long

    @JvmStatic external fun outputs(handle: Long): Int

    /** Every output, in the signature's order. */
    @JvmStatic external fun run(handle: Long, input: FloatArray): Array<FloatArray>

    @JvmStatic external fun close(handle: Long)
}
