import com.google.ai.edge.litert.Accelerator
import com.google.ai.edge.litert.CompiledModel
import hearlite.core.Embedder
import hearlite.core.EventStream
import hearlite.core.Inference
import hearlite.core.Manifest
import hearlite.core.WavFile
import hearlite.core.toJson
import java.io.File

/** Prints the events of a WAV by a file with events, as JSON: eventsOf.kt MODEL.tflite RECORDING.wav (tests/support/same_events.py runs it). */
fun main(arguments: Array<String>) {
    val (model, recording) = arguments.map(::File)
    val manifest = Manifest.read(model)
    val events = LiteRt(model, manifest).use { EventStream.of(WavFile(recording.inputStream(), recording.name, manifest.pcmFullScale), manifest, it) }
    val rows = events.map { mapOf("label" to it.label, "start_s" to it.startS, "end_s" to it.endS, "score" to it.score, "peak_s" to it.peakS) }
    println(toJson(rows))
}

private class LiteRt(model: File, private val manifest: Manifest) : Embedder {
    private val compiled = CompiledModel.create(model.path, CompiledModel.Options(Accelerator.CPU))
    private val inputs = compiled.createInputBuffers(manifest.signature)
    private val outputs = compiled.createOutputBuffers(manifest.signature)
    override val runtime = "litert desktop CPU"

    override fun embed(clip: FloatArray) = infer(clip).embedding

    override fun infer(clip: FloatArray): Inference {
        inputs.single().writeFloat(clip)
        compiled.run(inputs, outputs, manifest.signature)
        return Inference(outputs.first().readFloat(), outputs[1].readFloat(), outputs.last().readFloat())
    }

    override fun close() = compiled.close()
}
