import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { HOSTILE } from '../analysis/run.fixture.js';
import { embeddedJson, html } from './html.js';

describe('html', () => {
  it('escapes what is put in, and leaves HTML of its own', () => {
    expect(
      html`<p title="${'a"b'}">${'<b>'}${html`<i>${1}</i>`}${['&', html`<br>`]}${false}${undefined}</p>`.text,
    ).toBe('<p title="a&#34;b">&#60;b&#62;<i>1</i>&#38;<br></p>');
  });

  it('gives no text a way out of element or attribute', () => {
    const nasty = fc.oneof(fc.string({ unit: 'binary' }), fc.constant(HOSTILE));
    fc.assert(
      fc.property(nasty, (text) => {
        expect(html`${text}`.text).not.toMatch(/[<>"'`\u0000\u001b\u2028\u202e]/);
      }),
    );
  });
});

describe('embeddedJson', () => {
  it('is the same value again, and never ends its script element', () => {
    fc.assert(
      fc.property(
        fc.oneof(fc.jsonValue(), fc.constant(HOSTILE), fc.constant({ [HOSTILE]: ['</ScRiPt>', '<!--', ']]>'] })),
        (value) => {
          const { text } = embeddedJson(value);
          expect(text).not.toMatch(/[<>&\u2028\u2029]/);
          expect(JSON.parse(text)).toEqual(JSON.parse(JSON.stringify(value)));
        },
      ),
    );
  });
});
