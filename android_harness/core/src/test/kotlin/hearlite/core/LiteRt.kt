package hearlite.core

import com.google.ai.edge.litert.Accelerator
import com.google.ai.edge.litert.CompiledModel
import java.io.File

/** Real inference on the JVM: LiteRT's Kotlin API as far as `android_harness/desktop` has it over LiteRT's desktop library. */
class LiteRt(model: File) : Embedder {
    private val compiled = CompiledModel.create(model.path, CompiledModel.Options(Accelerator.CPU))
    private val inputs = compiled.createInputBuffers(SIGNATURE)
    private val outputs = compiled.createOutputBuffers(SIGNATURE)
    override val runtime = "litert desktop CPU"

    override fun embed(clip: FloatArray) = infer(clip).embedding

    override fun infer(clip: FloatArray): Inference {
        inputs.single().writeFloat(clip)
        compiled.run(inputs, outputs, SIGNATURE)
        val none = FloatArray(0)
        return Inference(outputs.first().readFloat(), outputs.getOrNull(1)?.readFloat() ?: none, outputs.drop(2).lastOrNull()?.readFloat() ?: none)
    }

    override fun close() = compiled.close()

    private companion object {
        const val SIGNATURE = "embed"
    }
}
