import { createHash } from 'node:crypto';
import { embeddedJson, Html, html } from './html.js';

/** Script and styles of the pages, as they were built. */
export interface PageAssets {
  readonly script: string;
  readonly style: string;
  /** What the page of a bisection needs in addition. */
  readonly bisectionStyle: string;
}

interface PageDocument {
  readonly title: Html;
  readonly body: Html;
  readonly style: string;
  readonly script?: { readonly text: string; readonly data: unknown };
}

/** Returns one HTML file that needs nothing else. */
export function renderDocument({ title, body, style, script }: PageDocument): string {
  return html`<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${new Html(policy(style, script?.text))}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="referrer" content="no-referrer">
<meta name="generator" content="qmpilot">
<title>${title}</title><link rel="icon" href="data:,">
<style>${new Html(style)}</style></head><body><main>
${body}
</main>${script && html`<script type="application/json" id="data">${embeddedJson(script.data)}</script><script>${new Html(script.text)}</script>`}</body></html>
`.text;
}

/** Nothing from anywhere, and no script or style but these. */
function policy(style: string, script: string | undefined): string {
  const hash = (text: string) => `'sha256-${createHash('sha256').update(text).digest('base64')}'`;
  return `default-src 'none'; ${script === undefined ? '' : `script-src ${hash(script)}; `}style-src ${hash(style)}; img-src data:; base-uri 'none'; form-action 'none'`;
}
