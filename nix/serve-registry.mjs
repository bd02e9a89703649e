// serve-registry.mjs FOLDER PORTFILE: serves a folder of package files on the loopback, as a registry would.
// pnpm with a frozen lockfile asks for nothing but these files.
import { createReadStream, renameSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join, normalize } from 'node:path';

const [folder, portFile] = process.argv.slice(2);

const server = createServer((request, response) => {
  const path = normalize(decodeURIComponent(new URL(request.url, 'http://localhost').pathname));
  const file = createReadStream(join(folder, path));
  file.once('error', () => response.writeHead(404).end());
  file.once('open', () => {
    response.writeHead(200, { 'content-type': 'application/octet-stream' });
    file.pipe(response);
  });
});
server.listen(0, '127.0.0.1', () => {
  writeFileSync(`${portFile}.part`, String(server.address().port));
  renameSync(`${portFile}.part`, portFile);
});
