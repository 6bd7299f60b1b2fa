/* What libtheora makes of the packets of a .pkt file (see make_vectors.c): prints the lines of a .crc file.
 *
 *   cc -O2 -o oracle oracle.c -ltheoradec -logg
 *   ./oracle NAME.pkt > NAME.crc
 */
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <theora/theoradec.h>

static uint32_t crc_plane(uint32_t crc, const th_img_plane *p, int x0, int y0, int x1, int y1) {
    for (int y = y0; y < y1; y++)
        for (int x = x0; x < x1; x++) {
            crc ^= p->data[y * p->stride + x];
            for (int k = 0; k < 8; k++) crc = crc & 1 ? 0xEDB88320u ^ (crc >> 1) : crc >> 1;
        }
    return crc;
}

int main(int argc, char **argv) {
    static unsigned char data[1 << 22];
    FILE *in = argc == 2 ? fopen(argv[1], "rb") : NULL;
    if (!in) { fprintf(stderr, "usage: oracle FILE\n"); return 2; }
    th_info ti;
    th_comment tc;
    th_setup_info *setup = NULL;
    th_dec_ctx *dec = NULL;
    th_info_init(&ti), th_comment_init(&tc);
    unsigned char n[4];
    for (int count = 0; fread(n, 1, 4, in) == 4; count++) {
        ogg_packet op;
        memset(&op, 0, sizeof op);
        op.packet = data, op.bytes = n[0] | n[1] << 8 | n[2] << 16 | n[3] << 24, op.b_o_s = count == 0, op.packetno = count;
        if (op.bytes > (long)sizeof data || (long)fread(data, 1, op.bytes, in) != op.bytes) return 1;
        if (count < 3) {
            if (th_decode_headerin(&ti, &tc, &setup, &op) <= 0) { printf("bad header\n"); return 0; }
            continue;
        }
        if (!dec && !(dec = th_decode_alloc(&ti, setup))) { printf("bad setup\n"); return 0; }
        int r = th_decode_packetin(dec, &op, NULL);
        /* Releases of libtheora differ in what they call a packet that codes no block; here only empty ones are dup. */
        const char *kind = r < 0 ? "bad" : op.bytes == 0 ? "dup" : th_packet_iskeyframe(&op) == 1 ? "key" : "inter";
        th_ycbcr_buffer f;
        th_decode_ycbcr_out(dec, f);
        int xs = !(ti.pixel_fmt & 1), ys = !(ti.pixel_fmt & 2);
        int x0 = ti.pic_x, y0 = ti.pic_y, x1 = x0 + ti.pic_width, y1 = y0 + ti.pic_height;
        uint32_t crc = crc_plane(~0u, &f[0], x0, y0, x1, y1);
        for (int c = 1; c < 3; c++) crc = crc_plane(crc, &f[c], x0 >> xs, y0 >> ys, (x1 + xs) >> xs, (y1 + ys) >> ys);
        printf("%s %08x\n", kind, ~crc);
    }
    return 0;
}
