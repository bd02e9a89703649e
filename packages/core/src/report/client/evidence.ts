import type { PageDetails, PageEvidence } from '../html/page-data.js';

export interface Evidence extends PageDetails {
  readonly console: Uint8Array<ArrayBuffer>;
}

export async function unpack(packed: PageEvidence): Promise<Evidence> {
  const [console, details] = await Promise.all([inflate(packed.console), inflate(packed.details)]);
  return { ...(JSON.parse(new TextDecoder().decode(details)) as PageDetails), console };
}

export async function inflate(base64: string): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream('deflate-raw'));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}
