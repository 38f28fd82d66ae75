package com.google.ai.edge.litert

import android.content.res.AssetManager

// What this project uses of LiteRT's Kotlin API for Android (com.google.ai.edge.litert:litert 2.x), with its names and types, over the desktop
// library: so that the code which an app runs is compiled and run on the JVM. Never part of an app.

enum class Accelerator { CPU }

class TensorBuffer internal constructor() : AutoCloseable {
    internal var values = FloatArray(0)

    fun writeFloat(data: FloatArray) {
        values = data.copyOf()
    }

    fun readFloat(): FloatArray = values.copyOf()

    override fun close() {}
}

class CompiledModel private constructor(private val handle: Long) : AutoCloseable {
    data class CpuOptions(val numThreads: Int? = null, val xnnPackFlags: Int? = null, val xnnPackWeightCachePath: String? = null)

    /** The desktop library here runs one thread, whatever [cpuOptions] say. */
    class Options(vararg val accelerators: Accelerator) {
        var cpuOptions: CpuOptions? = null
    }

    fun createInputBuffers(signature: String): List<TensorBuffer> = listOf(TensorBuffer()).also { check(signature.isNotEmpty()) }

    fun createOutputBuffers(signature: String): List<TensorBuffer> =
        List(Bridge.outputs(handle)) { TensorBuffer() }.also { check(signature.isNotEmpty()) }

    fun run(inputs: List<TensorBuffer>, outputs: List<TensorBuffer>, signature: String) {
        check(signature.isNotEmpty())
        Bridge.run(handle, inputs.single().values).forEachIndexed { index, values -> outputs[index].values = values }
    }

    override fun close() = Bridge.close(handle)

    companion object {
        fun create(filePath: String, options: Options): CompiledModel {
            check(options.accelerators.asList() == listOf(Accelerator.CPU)) { "only the CPU is here" }
            return CompiledModel(Bridge.open(filePath))
        }

        @Suppress("UNUSED_PARAMETER")
        fun create(assetManager: AssetManager, assetName: String, options: Options): CompiledModel = error("there are no assets on a desktop")
    }
}
