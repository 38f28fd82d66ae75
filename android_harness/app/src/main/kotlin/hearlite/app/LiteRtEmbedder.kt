package hearlite.app

import android.content.res.AssetManager
import com.google.ai.edge.litert.Accelerator
import com.google.ai.edge.litert.CompiledModel
import hearlite.core.Embedder
import hearlite.core.Inference
import hearlite.core.Manifest

/** LiteRT on the CPU, which is where int8 files are at home. Open by [fromAssets] or [fromFile]; close it. */
class LiteRtEmbedder private constructor(private val model: CompiledModel, private val manifest: Manifest) : Embedder {
    private val inputs = model.createInputBuffers(manifest.signature)
    private val outputs = model.createOutputBuffers(manifest.signature)
    private val scores = manifest.head?.let { 1 }
    private val stepScores = manifest.steps?.takeIf { it.scores.isNotEmpty() }?.let { outputs.lastIndex } // the last that an export adds
    override val runtime = "litert CompiledModel CPU"

    override fun embed(clip: FloatArray): FloatArray {
        run(clip)
        return outputs.first().readFloat()
    }

    override fun infer(clip: FloatArray): Inference {
        run(clip)
        return Inference(outputs.first().readFloat(), read(scores), read(stepScores))
    }

    private fun read(output: Int?): FloatArray = if (output == null) FloatArray(0) else outputs[output].readFloat()

    private fun run(clip: FloatArray) {
        inputs.single().writeFloat(clip)
        model.run(inputs, outputs, manifest.signature)
    }

    override fun close() {
        (inputs + outputs).forEach { it.close() }
        model.close()
    }

    companion object {
        /** [asset] must lie uncompressed in the APK (`noCompress` in build.gradle.kts): it is mapped, not copied. */
        fun fromAssets(assets: AssetManager, asset: String, manifest: Manifest, threads: Int) =
            LiteRtEmbedder(CompiledModel.create(assets, asset, options(threads)), manifest)

        fun fromFile(path: String, manifest: Manifest, threads: Int) = LiteRtEmbedder(CompiledModel.create(path, options(threads)), manifest)

        private fun options(threads: Int) =
            CompiledModel.Options(Accelerator.CPU).apply { cpuOptions = CompiledModel.CpuOptions(numThreads = threads) }
    }
}
