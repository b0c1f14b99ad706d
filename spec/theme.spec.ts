// Every text of every theme can be read: light, dark, and the colour of the date on each day of its years.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { contrast, dateColour, dateTheme, type Rgb, readable, readableContrast, textGrounds } from '../web/date-theme.ts';

describe('themes', () => {
  it('have the colour of the date as their ground: day, month and year', () => {
    assert.deepEqual(dateColour(new Date(2021, 4, 7)), [7, 5, 229]);
    assert.deepEqual(dateColour(new Date(2025, 11, 31)), [31, 12, 233]);
    assert.deepEqual(dateColour(new Date(2048, 0, 1)), [1, 1, 0]);
    assert.deepEqual(dateTheme(new Date(2021, 4, 7)).ground, [7, 5, 229]);
  });

  it('can be read on all 366 days, whatever the blue of the year', () => {
    for (const year of [2020, 2024, 2047, 2048, 2112, 2176, 2303]) {
      for (let day = 1; day <= 366; day += 1) {
        const date = new Date(year, 0, day);
        assert.deepEqual(unreadable(dateTheme(date)), [], date.toDateString());
      }
    }
  });

  it('can be read in light and in dark', () => {
    assert.deepEqual(unreadable(pageColours('light')), []);
    assert.deepEqual(unreadable(pageColours('dark')), []);
  });

  it('measure contrast as WCAG does', () => {
    assert.equal(contrast([255, 255, 255], [0, 0, 0]), 21);
    assert.equal(contrast([119, 119, 119], [255, 255, 255]).toFixed(2), '4.48');
    assert.equal(contrast([0, 0, 255], [255, 255, 0]).toFixed(2), '8.00');
  });

  it('change a wanted colour only as far as its grounds ask for', () => {
    assert.deepEqual(readable([200, 200, 255], [[0, 0, 60]]), [200, 200, 255]);
    const onBlue = readable([60, 60, 255], [[0, 0, 200]]);
    assert.ok(contrast(onBlue, [0, 0, 200]) >= readableContrast);
    assert.ok(onBlue[2] === 255 && onBlue[0] < 255, 'still blue');
    const onWhite = readable([200, 200, 255], [[255, 255, 255]]);
    assert.ok(contrast(onWhite, [255, 255, 255]) >= readableContrast);
  });
});

function unreadable(colours: Record<string, Rgb>): string[] {
  return Object.entries(textGrounds).flatMap(([text, grounds]) =>
    grounds
      .map((ground) => ({ ground, ratio: contrast(colour(colours, text), colour(colours, ground)) }))
      .filter(({ ratio }) => ratio < readableContrast)
      .map(({ ground, ratio }) => `${text} on ${ground}: ${ratio.toFixed(2)}`),
  );
}

function colour(colours: Record<string, Rgb>, name: string): Rgb {
  const found = colours[name];
  assert.ok(found, `the theme has no ${name}`);
  return found;
}

function pageColours(scheme: 'light' | 'dark'): Record<string, Rgb> {
  const css = readFileSync(new URL('../web/page.css', import.meta.url), 'utf8');
  const colours: Record<string, Rgb> = {};
  for (const [, name = '', light = '', dark = ''] of css.matchAll(/--([\w-]+): light-dark\(#([0-9a-f]{6}), #([0-9a-f]{6})\)/g)) {
    const hex = scheme === 'light' ? light : dark;
    const part = (at: number) => Number.parseInt(hex.slice(at, at + 2), 16);
    colours[name] = [part(0), part(2), part(4)];
  }
  return colours;
}
