// The colour of the date, rgb(day, month, year), and every other colour of a page on it, readable by WCAG contrast.

export type Rgb = readonly [red: number, green: number, blue: number];

/** Every colour that a theme defines; `--ground` and so on in page.css. */
export type ThemeColour =
  | 'ground'
  | 'panel'
  | 'raised'
  | 'field'
  | 'bubble'
  | 'hover'
  | 'code'
  | 'own'
  | 'accent'
  | 'accent-hover'
  | 'danger-ground'
  | 'warning-ground'
  | 'text'
  | 'quiet'
  | 'link'
  | 'danger'
  | 'warning'
  | 'good'
  | 'own-text'
  | 'own-quiet'
  | 'accent-text'
  | 'line'
  | 'line-strong'
  | 'focus';

/** WCAG 2.2 §1.4.3 (AA), text of any size. */
export const readableContrast = 4.5;

/** Every text colour, with all backgrounds that the elements put it on. The specs hold each theme to it. */
export const textGrounds = {
  text: ['ground', 'panel', 'raised', 'field', 'bubble', 'hover', 'code', 'danger-ground', 'warning-ground'],
  quiet: ['ground', 'panel', 'raised', 'field', 'bubble', 'hover'],
  link: ['ground', 'panel', 'raised', 'bubble'],
  danger: ['ground', 'panel', 'raised', 'hover', 'danger-ground'],
  warning: ['ground', 'panel', 'raised', 'hover', 'bubble', 'warning-ground'],
  good: ['ground', 'panel', 'raised', 'hover'],
  'own-text': ['own'],
  'own-quiet': ['own'],
  'accent-text': ['accent', 'accent-hover'],
} as const satisfies Partial<Record<ThemeColour, readonly ThemeColour[]>>;

const white: Rgb = [255, 255, 255];
const black: Rgb = [0, 0, 0];

/** rgb(day 1–31, month 1–12, year modulo 256): 7 May 2021 is rgb(7, 5, 229). It stays dark for ever, as blue alone never is bright. */
export function dateColour(date: Date): Rgb {
  return [date.getDate(), date.getMonth() + 1, date.getFullYear() % 256];
}

/** The whole theme on the colour of a date (local time). Every text has at least `readableContrast` with each of its grounds. */
export function dateTheme(date: Date): Record<ThemeColour, Rgb> {
  const base = dateColour(date);
  const panel = mix(base, black, 0.4);
  const grounds = {
    ground: base,
    panel,
    raised: mix(base, black, 0.58),
    field: mix(base, black, 0.72),
    bubble: mix(base, black, 0.5),
    hover: mix(panel, white, 0.1),
    code: mix(base, black, 0.78),
    own: mix(base, white, 0.86),
    accent: mix(base, white, 0.88),
    'accent-hover': white,
    'danger-ground': mix([96, 10, 30], base, 0.1),
    'warning-ground': mix([74, 46, 0], base, 0.1),
  } as const;
  const on = (name: keyof typeof textGrounds, wanted: Rgb) =>
    readable(
      wanted,
      textGrounds[name].map((ground) => grounds[ground]),
    );
  return {
    ...grounds,
    text: on('text', [244, 246, 255]),
    quiet: on('quiet', mix(base, white, 0.66)),
    link: on('link', [158, 214, 255]),
    danger: on('danger', [255, 160, 160]),
    warning: on('warning', [255, 209, 102]),
    good: on('good', [128, 232, 178]),
    'own-text': on('own-text', mix(base, black, 0.6)),
    'own-quiet': on('own-quiet', mix(base, black, 0.25)),
    'accent-text': on('accent-text', mix(base, black, 0.5)),
    line: mix(base, white, 0.16),
    'line-strong': mix(base, white, 0.5),
    focus: [255, 255, 255],
  };
}

/** The wanted colour, or the nearest to it towards white or black that can be read on all of the grounds. */
export function readable(wanted: Rgb, grounds: readonly Rgb[]): Rgb {
  const worst = (colour: Rgb) => Math.min(...grounds.map((ground) => contrast(colour, ground)));
  const pole = worst(white) >= worst(black) ? white : black;
  for (let part = 0; part < 1; part += 0.05) {
    const colour = mix(wanted, pole, part);
    if (worst(colour) >= readableContrast) return colour;
  }
  return pole;
}

/** WCAG 2.2 contrast ratio, 1 to 21. */
export function contrast(a: Rgb, b: Rgb): number {
  const [light, dark] = [luminance(a), luminance(b)].sort((one, other) => other - one);
  return ((light ?? 0) + 0.05) / ((dark ?? 0) + 0.05);
}

function luminance(colour: Rgb): number {
  const [red, green, blue] = colour.map((part) => {
    const value = part / 255;
    return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * (red ?? 0) + 0.7152 * (green ?? 0) + 0.0722 * (blue ?? 0);
}

function mix(from: Rgb, to: Rgb, part: number): Rgb {
  const between = (a: number, b: number) => Math.round(a + (b - a) * part);
  return [between(from[0], to[0]), between(from[1], to[1]), between(from[2], to[2])];
}
