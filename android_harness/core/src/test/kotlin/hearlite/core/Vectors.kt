package hearlite.core

import java.io.File
import java.nio.ByteBuffer
import java.nio.ByteOrder

/** What Python computed, `tests/support/android_vectors.py` writes it: sounds, their windows, and each file's embeddings of them. */
object Vectors {
    private val folder = File(property("hearlite.vectors"))
    private val json = JsonReader(folder.resolve("vectors.json").readText(), "vectors.json").read() as Map<*, *>

    val models: List<File> = names("models").map(folder::resolve)
    val hopS: Double = json["hop_s"] as Double

    /** Sounds at the manifest's rate: their windows must be Python's, bit by bit. */
    val sounds: List<String> = names("sounds")

    /** The first of [sounds] as microphones of other rates record it. */
    val resampled: List<String> = names("resampled")

    /** Sounds for files with rules for events, at the manifest's rate and at a microphone's. */
    val eventful: List<String> = names("eventful")

    fun sound(name: String, manifest: Manifest) = WavFile(folder.resolve("$name.wav").inputStream(), name, manifest.pcmFullScale)

    /** Python's windows of a sound, each `[clipSamples]`. */
    fun windows(name: String, manifest: Manifest): List<FloatArray> = rows("$name.windows", manifest.clipSamples)

    /** Python's embeddings of them, each `[dim]`. */
    fun embeddings(name: String, manifest: Manifest): List<FloatArray> = rows("$name.${stem(manifest)}", manifest.dim)

    /** Python's scores of them, each `[labels]`, of a file with a head. */
    fun scores(name: String, manifest: Manifest): List<FloatArray> = rows("$name.${stem(manifest)}.scores", manifest.head!!.labels.size)

    /** Python's scores over time of a sound, each `[labels]`. */
    fun timeline(name: String, manifest: Manifest): List<FloatArray> = rows("$name.${stem(manifest)}.timeline", manifest.head!!.labels.size)

    /** Python's events of it. */
    fun events(name: String, manifest: Manifest): List<Event> {
        val file = "$name.${stem(manifest)}.events.json"
        return (JsonReader(folder.resolve(file).readText(), file).read() as List<*>).map { item ->
            val fields = item as Map<*, *>
            fun number(key: String) = fields[key] as Double
            Event(fields["label"] as String, number("start_s"), number("end_s"), number("score"), number("peak_s"))
        }
    }

    fun pooled(name: String, manifest: Manifest, how: String): FloatArray = rows("$name.${stem(manifest)}.$how", manifest.dim).single()

    fun text(file: String): String = folder.resolve(file).readText()

    fun property(name: String): String = checkNotNull(System.getProperty(name)) { "-D$name is missing: run android_harness/jvm_test.sh" }

    private fun stem(manifest: Manifest) = manifest.name.removeSuffix(".tflite")

    private fun names(key: String) = (json[key] as List<*>).map { it as String }

    private fun rows(file: String, length: Int): List<FloatArray> {
        val values = ByteBuffer.wrap(folder.resolve("$file.f32").readBytes()).order(ByteOrder.LITTLE_ENDIAN).asFloatBuffer()
        return List(values.remaining() / length) { FloatArray(length).also(values::get) }
    }
}
