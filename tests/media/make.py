#!/usr/bin/env python3
"""Makes the small Ogg files of this folder. Needs ffmpeg with libtheora and libvorbis; see README.md.

    make.py FOLDER
"""
import math, random, struct, subprocess, sys, tempfile, wave
from pathlib import Path

RATE = 48000
FPS = (30000, 1001)


def frame_time(n):
    return n * FPS[1] / FPS[0]


def picture(n, width, height, flash):
    """A striped background, a ball that circles over it, and a white picture where there is a flash."""
    if flash:
        return bytes([235]) * (width * height) + bytes([128]) * (width * height // 2)
    ball_x = width * (0.5 + 0.3 * math.cos(n / 12)); ball_y = height * (0.5 + 0.3 * math.sin(n / 12))
    radius = height / 7
    luma = bytearray()
    for y in range(height):
        for x in range(width):
            ball = math.hypot(x - ball_x, y - ball_y) < radius
            stripes = 60 + (x * 100 // width) + (20 if (y // 16) % 2 else 0)
            luma.append(200 if ball else stripes)
    planes = [bytes(luma)]
    for near, far in ((90, 140), (200, 120)):
        plane = bytearray()
        for y in range(height // 2):
            for x in range(width // 2):
                ball = math.hypot(2 * x + 1 - ball_x, 2 * y + 1 - ball_y) < radius
                plane.append(near if ball else far)
        planes.append(bytes(plane))
    return b''.join(planes)


def make(folder, name, frames, width, height, flashes, theora):
    """Writes NAME: a flash and a click start together at each frame of `flashes`."""
    with tempfile.TemporaryDirectory() as temporary:
        y4m, wav = Path(temporary, 'v.y4m'), Path(temporary, 'a.wav')
        with open(y4m, 'wb') as out:
            out.write(f'YUV4MPEG2 W{width} H{height} F{FPS[0]}:{FPS[1]} Ip A1:1 C420jpeg\n'.encode())
            for n in range(frames):
                out.write(b'FRAME\n' + picture(n, width, height, n in flashes))
        clicks = [round(frame_time(n) * RATE) for n in flashes]
        noise = random.Random(1)
        with wave.open(str(wav), 'wb') as out:
            out.setnchannels(2); out.setsampwidth(2); out.setframerate(RATE)
            data = bytearray()
            for i in range(round(frame_time(frames) * RATE)):
                left = 0.02 * math.sin(2 * math.pi * 440 * i / RATE); right = 0.02 * math.sin(2 * math.pi * 660 * i / RATE)
                for click in clicks:
                    if click <= i < click + RATE // 100:
                        burst = 0.7 * noise.uniform(-1, 1)
                        left += burst; right += burst
                data += struct.pack('<hh', round(left * 32767), round(right * 32767))
            out.writeframes(bytes(data))
        subprocess.run(['ffmpeg', '-v', 'error', '-y', '-i', y4m, '-i', wav, '-c:v', 'libtheora', *theora, '-c:a', 'libvorbis', '-q:a', '2',
                        '-map_metadata', '-1', '-fflags', '+bitexact', '-flags:a', '+bitexact', '-serial_offset', '1', Path(folder, name)], check=True)


def main():
    folder = sys.argv[1]
    make(folder, 'flash-click.ogv', 120, 320, 240, [30, 60, 90], ['-q:v', '6', '-g', '48'])


main()
