// A static web server with ranges, for one folder.
import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { createServer } from "node:http";
import { extname, join, normalize } from "node:path";

const TYPES = {
  ".css": "text/css",
  ".flv": "video/x-flv",
  ".html": "text/html; charset=utf-8",
  ".jpg": "image/jpeg",
  ".js": "text/javascript",
  ".swf": "application/x-shockwave-flash",
  ".wasm": "application/wasm",
};

/// Serves `folder` on a free port of 127.0.0.1 with additional `headers`. `bytesPerSecond` holds films back.
export async function serve(folder, { headers = {}, bytesPerSecond = Infinity } = {}) {
  const requests = [];
  const server = createServer(async (request, response) => {
    const path = normalize(decodeURIComponent(new URL(request.url, "http://x").pathname));
    const file = join(folder, path.endsWith("/") ? `${path}index.html` : path);
    requests.push(`${request.method} ${path}`);
    const info = await stat(file).catch(() => null);
    if (!info?.isFile()) return response.writeHead(404, headers).end();
    const type = TYPES[extname(file)] ?? "application/octet-stream";
    let [start, end, status] = [0, info.size - 1, 200];
    const range = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? "");
    if (range) [start, end, status] = [Number(range[1]), range[2] ? Number(range[2]) : end, 206];
    response.writeHead(status, {
      "Content-Type": type,
      "Content-Length": end - start + 1,
      "Accept-Ranges": "bytes",
      "Cache-Control": "no-store",
      ...(range && { "Content-Range": `bytes ${start}-${end}/${info.size}` }),
      ...headers,
    });
    if (request.method === "HEAD") return response.end();
    const isSlow = extname(file) === ".flv" && bytesPerSecond < Infinity;
    for await (const chunk of createReadStream(file, { start, end, highWaterMark: isSlow ? bytesPerSecond / 20 : 65536 })) {
      if (response.destroyed) return;
      response.write(chunk);
      if (isSlow) await new Promise((resolve) => setTimeout(resolve, 50));
    }
    response.end();
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { origin: `http://127.0.0.1:${server.address().port}`, requests, close: () => server.close() };
}
