"""Makes the WAVE files that the Vorbis vectors were encoded from: python3 make.py DIRECTORY"""

import math
import struct
import sys
import wave


def write(name, rate, frames, channels, sample):
    with wave.open(f"{sys.argv[1]}/{name}.wav", "wb") as out:
        out.setnchannels(channels)
        out.setsampwidth(2)
        out.setframerate(rate)
        for n in range(frames):
            out.writeframes(b"".join(struct.pack("<h", round(32767 * sample(n, c))) for c in range(channels)))


def tone(frequency, rate, n):
    return 0.4 * math.sin(2 * math.pi * frequency * n / rate)


# Tones of 100 ms with 100 ms of silence between them: blocks of both sizes.
write("stereo", 44100, 22050, 2, lambda n, c: tone(440 * (c + 1), 44100, n) if n // 4410 % 2 else 0)
write("mono8", 8000, 3001, 1, lambda n, c: tone(500, 8000, n))
# A tone for each channel; the fourth is the LFE.
write("six", 48000, 9600, 6, lambda n, c: tone(60 if c == 3 else 300 + 200 * c, 48000, n))
