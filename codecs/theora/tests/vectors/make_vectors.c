/* Makes the vectors of this directory with libtheora: it encodes synthetic pictures and decodes the packets again.
 *
 *   cc -O2 -o make_vectors make_vectors.c -ltheoraenc -ltheoradec -logg -lm
 *   ./make_vectors .
 *
 * For each vector NAME.pkt holds the packets, each after its length (32 bits, least significant byte first), the three
 * headers first. NAME.crc has a line for each data packet: what libtheora's decoder calls it (key, inter or dup) and
 * the CRC-32 (that of zlib) of the visible picture: rows from the top, Y, then Cb, then Cr.
 */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <theora/theoradec.h>
#include <theora/theoraenc.h>

typedef struct {
    const char *name;
    th_pixel_fmt format;
    int frame_w, frame_h, pic_w, pic_h, pic_x, pic_y;
    int frames, quality, bitrate, keyframe_distance, motion;
} vector;

static const vector vectors[] = {
    /* name        format     frame    picture  offset   n  q    bit rate  kf  motion */
    {"420",        TH_PF_420, 64, 48,  64, 48,  0, 0,    8, 40,  0,        64, 0},
    {"420-odd",    TH_PF_420, 48, 32,  33, 17,  5, 3,    8, 48,  0,        4,  1},
    {"422-odd",    TH_PF_422, 48, 48,  31, 33,  1, 7,    8, 40,  0,        64, 1},
    {"444-odd",    TH_PF_444, 32, 48,  17, 35,  3, 1,    8, 40,  0,        64, 2},
    {"fine",       TH_PF_420, 48, 48,  47, 45,  0, 1,    5, 63,  0,        64, 2},
    {"coarse",     TH_PF_420, 96, 80,  90, 70,  2, 4,    12, 0,  0,        64, 2},
    {"rate",       TH_PF_420, 96, 80,  96, 80,  0, 0,    12, 0,  60000,    64, 2},
    {"still",      TH_PF_420, 96, 80,  96, 80,  0, 0,    10, 30, 0,        64, 3},
    {"golden",     TH_PF_420, 64, 64,  64, 64,  0, 0,    10, 30, 0,        64, 4},
};

static uint32_t crc_table[256];

static void crc_init(void) {
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t c = i;
        for (int k = 0; k < 8; k++) c = c & 1 ? 0xEDB88320u ^ (c >> 1) : c >> 1;
        crc_table[i] = c;
    }
}

static uint32_t crc_plane(uint32_t crc, const th_img_plane *p, int x0, int y0, int x1, int y1) {
    for (int y = y0; y < y1; y++)
        for (int x = x0; x < x1; x++) crc = crc_table[(crc ^ p->data[y * p->stride + x]) & 255] ^ (crc >> 8);
    return crc;
}

/* A sample of frame t: waves that move, a disc that moves against them, and some texture. */
static int sample(const vector *v, int pli, double x, double y, int t) {
    double dx = 0, dy = 0;
    if (v->motion == 0) dx = 2 * t;
    if (v->motion == 1) dx = 3.5 * t, dy = -1.5 * t;
    if (v->motion == 2) dx = 20 * sin(t * 0.7), dy = 9 * cos(t * 1.1);
    int scene = v->motion == 4 ? t & 1 : 0;
    double s = 128 + 50 * sin((x + dx) * 0.23 + pli + 2 * scene) + 40 * cos((y + dy) * 0.31 - pli + (x + dx) * 0.05);
    double cx = x - v->frame_w / 2.0 - (v->motion == 3 ? 3 * t : -2 * t), cy = y - v->frame_h / 2.0 + (v->motion == 3 ? 0 : t);
    if (cx * cx + cy * cy < 100) s = 255 - s / 2 + 60 * ((((int)floor(cx) ^ (int)floor(cy)) & 2) - 1);
    s += (((int)floor(x + dx) * 7 + (int)floor(y + dy) * 13) % 5) * (pli ? 1 : 3);
    return s < 0 ? 0 : s > 255 ? 255 : (int)s;
}

static void put_packet(FILE *out, const ogg_packet *op) {
    uint32_t n = (uint32_t)op->bytes;
    fputc(n & 255, out), fputc(n >> 8 & 255, out), fputc(n >> 16 & 255, out), fputc(n >> 24, out);
    fwrite(op->packet, 1, n, out);
}

static void make(const vector *v, const char *directory) {
    char path[512];
    snprintf(path, sizeof path, "%s/%s.pkt", directory, v->name);
    FILE *packets = fopen(path, "wb");
    snprintf(path, sizeof path, "%s/%s.crc", directory, v->name);
    FILE *crcs = fopen(path, "w");
    if (!packets || !crcs) { perror(path); exit(1); }

    th_info ti, di;
    th_comment tc, dc;
    th_setup_info *setup = NULL;
    th_info_init(&ti), th_info_init(&di), th_comment_init(&tc), th_comment_init(&dc);
    ti.frame_width = v->frame_w, ti.frame_height = v->frame_h;
    ti.pic_width = v->pic_w, ti.pic_height = v->pic_h, ti.pic_x = v->pic_x, ti.pic_y = v->pic_y;
    ti.fps_numerator = 25, ti.fps_denominator = 1;
    ti.pixel_fmt = v->format, ti.quality = v->quality, ti.target_bitrate = v->bitrate;
    ti.keyframe_granule_shift = 6;
    th_enc_ctx *enc = th_encode_alloc(&ti);
    ogg_uint32_t distance = v->keyframe_distance;
    th_encode_ctl(enc, TH_ENCCTL_SET_KEYFRAME_FREQUENCY_FORCE, &distance, sizeof distance);
    ogg_packet op;
    while (th_encode_flushheader(enc, &tc, &op) > 0) {
        put_packet(packets, &op);
        th_decode_headerin(&di, &dc, &setup, &op);
    }
    th_dec_ctx *dec = th_decode_alloc(&di, setup);
    int xs = !(v->format & 1), ys = !(v->format & 2);
    for (int t = 0; t < v->frames; t++) {
        th_ycbcr_buffer in, out;
        for (int pli = 0; pli < 3; pli++) {
            int sx = pli ? xs : 0, sy = pli ? ys : 0;
            in[pli].width = in[pli].stride = v->frame_w >> sx, in[pli].height = v->frame_h >> sy;
            in[pli].data = malloc((size_t)in[pli].stride * in[pli].height);
            for (int y = 0; y < in[pli].height; y++)
                for (int x = 0; x < in[pli].width; x++)
                    in[pli].data[y * in[pli].stride + x] = sample(v, pli, x << sx, y << sy, v->motion == 3 && t % 4 == 3 ? t - 1 : t);
        }
        th_encode_ycbcr_in(enc, in);
        for (int pli = 0; pli < 3; pli++) free(in[pli].data);
        while (th_encode_packetout(enc, t + 1 == v->frames, &op) > 0) {
            put_packet(packets, &op);
            int r = th_decode_packetin(dec, &op, NULL);
            if (r < 0) { fprintf(stderr, "%s: packet refused\n", v->name); exit(1); }
            th_decode_ycbcr_out(dec, out);
            int x0 = v->pic_x, y0 = di.pic_y, x1 = x0 + v->pic_w, y1 = y0 + v->pic_h;
            uint32_t crc = crc_plane(~0u, &out[0], x0, y0, x1, y1);
            for (int c = 1; c < 3; c++)
                crc = crc_plane(crc, &out[c], x0 >> xs, y0 >> ys, (x1 + xs) >> xs, (y1 + ys) >> ys);
            const char *kind = r == TH_DUPFRAME ? "dup" : th_packet_iskeyframe(&op) == 1 ? "key" : "inter";
            fprintf(crcs, "%s %08x\n", kind, ~crc);
        }
    }
    fclose(packets), fclose(crcs);
    th_encode_free(enc), th_decode_free(dec), th_setup_free(setup);
}

int main(int argc, char **argv) {
    crc_init();
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) make(&vectors[i], argc > 1 ? argv[1] : ".");
    return 0;
}
