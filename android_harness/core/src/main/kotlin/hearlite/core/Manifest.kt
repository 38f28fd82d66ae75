package hearlite.core

import java.io.File
import java.io.InputStream
import java.security.MessageDigest
import kotlin.math.roundToInt

/**
 * What the .json beside a .tflite says (`hearlite/bundle.py` writes it): everything that an app needs to feed the file rightly. All of audio's
 * constants come from here, and this library has none of its own.
 */
class Manifest(
    val name: String,
    /** How the file's numbers are stored: f32, i8, ... */
    val precision: String,
    val signature: String,
    /** Name of the input: float32 `[1, clipSamples]`, PCM / [pcmFullScale]. */
    val input: String,
    /** Name of the output: float32 `[1, dim]`, centred. */
    val output: String,
    val dim: Int,
    val sampleRateHz: Int,
    val clipSamples: Int,
    val pcmFullScale: Int,
    /** Upper edge of the highest band that the spectrogram inside the file looks at. */
    val highHz: Double,
    val teacher: String,
    /** Not empty: what stands in for HeAR, so that nothing here is a statement about HeAR. */
    val surrogateNote: String,
    val licence: String,
    val notice: String,
    /** False: the file failed its quality gate and was kept all the same. */
    val gatePassed: Boolean,
    /** `[dim]`, of the golden sound that travels with the file. */
    val goldenEmbedding: FloatArray,
    /** Largest allowed distance from [goldenEmbedding], of its length; null in manifests that don't say. */
    val goldenTolerance: Double?,
    /** Null: the embedding is the only output. */
    val head: Head?,
    /** Null: there are no outputs over time. */
    val steps: Steps?,
    /** Null: the head is not one of events. */
    val events: EventRules?,
    val tfliteSha256: String,
) {
    val clipS: Double get() = clipSamples.toDouble() / sampleRateHz

    /** Raises HearliteException unless [model], which is read to its end, is the file that this manifest was written for. */
    fun verify(model: InputStream) {
        val found = sha256(model)
        if (found != tfliteSha256) {
            throw HearliteException(
                "$name: its sha256 is $found, its manifest allows $tfliteSha256",
                "the two files belong to different exports, or the .tflite is damaged: copy both again",
            )
        }
    }

    companion object {
        const val SCHEMA = "hearlite-manifest/1" // bundle.py's SCHEMA

        /** The manifest beside [model], with the file's hash verified. Raises HearliteException. */
        fun read(model: File): Manifest {
            val json = File(model.path.removeSuffix(".tflite") + ".json")
            for (file in listOf(model, json)) {
                if (!file.isFile) throw HearliteException("$file is missing", "keep the .json beside the .tflite that 'hearlite export' wrote")
            }
            val manifest = parse(json.readText(), where = json.name)
            model.inputStream().use(manifest::verify)
            return manifest
        }

        /** A manifest's text, before [verify]. Raises HearliteException that names [where], field, value and what is allowed. */
        fun parse(text: String, where: String): Manifest {
            val json = JsonObject.parse(text, where)
            val schema = json.string("schema")
            if (schema != SCHEMA) {
                throw HearliteException("$where: schema is $schema, this library reads $SCHEMA", "export the file again, or update the library")
            }
            val audio = json.table("audio")
            val frontend = json.table("student").table("frontend")
            val rateHz = audio.int("sample_rate_hz", least = 1)
            val dim = json.int("dim", least = 1)
            val golden = json.floats("golden_embedding")
            requireSame("$where: audio.sample_rate_hz", rateHz, frontend.int("sample_rate_hz", least = 1), "the rate of the file's spectrogram")
            requireSame("$where: golden_embedding's length", golden.size, dim, "dim")
            val head = if (json.has("head")) Head.parse(json.table("head"), where) else null
            val steps = if (json.has("steps")) Steps.parse(json.table("steps"), where) else null
            return Manifest(
                name = json.string("name"),
                precision = json.string("precision"),
                signature = json.string("signature"),
                input = json.string("input"),
                output = json.string("output"),
                dim = dim,
                sampleRateHz = rateHz,
                clipSamples = (audio.number("clip_s") * rateHz).roundToInt(),
                pcmFullScale = audio.int("pcm_full_scale", least = 1),
                highHz = frontend.number("high_hz"),
                teacher = json.table("teacher").string("name"),
                surrogateNote = json.table("teacher").string("surrogate_note"),
                licence = json.string("licence"),
                notice = json.string("notice"),
                gatePassed = json.boolean("gate_passed"),
                goldenEmbedding = golden,
                goldenTolerance = if (json.has("golden_tolerance")) json.number("golden_tolerance") else null,
                head = head,
                steps = steps,
                events = if (json.has("events")) EventRules.parse(json.table("events"), head, steps, where) else null,
                tfliteSha256 = json.string("tflite_sha256"),
            )
        }

        private fun requireSame(what: String, found: Int, allowed: Int, whose: String) {
            if (found != allowed) throw HearliteException("$what is $found, allowed is $allowed, $whose", "the manifest was edited; export the file again")
        }
    }
}

private fun sha256(stream: InputStream): String {
    val digest = MessageDigest.getInstance("SHA-256")
    val block = ByteArray(DEFAULT_BUFFER_SIZE)
    while (true) {
        val count = stream.read(block)
        if (count < 0) return digest.digest().joinToString("") { "%02x".format(it) }
        digest.update(block, 0, count)
    }
}
