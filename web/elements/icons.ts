// Every picture of the screens: strokes on a 24 by 24 grid, in the colour of the text around them.
import { html, type SVGTemplateResult, svg, type TemplateResult } from 'lit';

/** Decoration only: the words stand beside it or in the control's label. */
export function icon(name: IconName, size: 16 | 20 | 24 = 20): TemplateResult {
  return html`<svg
    aria-hidden="true"
    width=${size}
    height=${size}
    viewBox="0 0 24 24"
    fill="none"
    stroke="currentColor"
    stroke-width=${size === 16 ? 2.25 : 1.75}
    stroke-linecap="round"
    stroke-linejoin="round"
  >
    ${pictures[name]}
  </svg>`;
}

/** The mark of the software: somebody speaks, behind a keyhole. */
export function mark(size: 28 | 56): TemplateResult {
  return html`<svg aria-hidden="true" width=${size} height=${size} viewBox="0 0 32 32" fill="currentColor">
    <path
      fill-rule="evenodd"
      d="M16 2C8 2 2 7.600 2 14.700c0 4.100 2 7.600 5.200 9.900l-.7 4.300c-.1.800.7 1.400 1.400 1l4.900-2.500c1 .200 2.100.300 3.200.300 8 0 14-5.600 14-13S24 2 16 2zm0 6.200a4.100 4.100 0 0 0-2.200 7.600l-1.100 4.700c-.1.500.3 1 .8 1h5c.5 0 .9-.5.8-1l-1.100-4.700A4.100 4.100 0 0 0 16 8.200z"
    />
  </svg>`;
}

export type IconName = keyof typeof pictures;

const pictures = {
  add: stroke('M12 5v14M5 12h14'),
  'add-person': stroke(
    'M15 20c0-3.300-2.700-5-6-5s-6 1.700-6 5M9 11.500a3.500 3.500 0 1 0 0-7 3.500 3.500 0 0 0 0 7zM19 8v6M16 11h6',
  ),
  back: stroke('M15 5l-7 7 7 7'),
  calendar: stroke('M4 6.500h16v13.500H4zM4 10.500h16M8.500 4v4M15.500 4v4'),
  check: stroke('M5 12.500l4.500 4.500L19 7.500'),
  checks: stroke('M2 12.500L6.500 17 16 7.500M11 16l1 1 9.500-9.500'),
  clock: stroke('M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18zM12 7.500V12l3 2'),
  close: stroke('M6 6l12 12M18 6L6 18'),
  copy: stroke('M9 9h11v11H9zM15 9V4H4v11h5'),
  device: stroke('M4 5h16v11H4zM2 20h20'),
  direct: stroke('M4 9h15M15 5l4 4-4 4M20 16H5M9 12.500L5 16l4 3.500'),
  down: stroke('M12 5v14M6 13l6 6 6-6'),
  eye: stroke(
    'M2 12c2.400-4.300 5.800-6.500 10-6.500S19.600 7.700 22 12c-2.400 4.300-5.800 6.500-10 6.500S4.400 16.300 2 12zM12 15a3 3 0 1 0 0-6 3 3 0 0 0 0 6z',
  ),
  'eye-off': stroke(
    'M4 4l16 16M9.500 6c.8-.3 1.600-.5 2.500-.5 4.200 0 7.600 2.200 10 6.500-.9 1.600-2 2.900-3.200 3.900M6 8.200C4.500 9.200 3.100 10.500 2 12c2.400 4.300 5.800 6.500 10 6.500 1.400 0 2.700-.2 3.900-.7',
  ),
  file: stroke('M6 3h8l5 5v13H6zM14 3v5h5'),
  gap: stroke('M4 12h2M11 12h2M18 12h2'),
  key: stroke('M8 20a4 4 0 1 0 0-8 4 4 0 0 0 0 8zM11 13.500L20 4.500M16 8.500l3 3'),
  link: stroke(
    'M10 14a4.500 4.500 0 0 0 6.400 0l3.200-3.200a4.500 4.500 0 0 0-6.400-6.400L12 5.600M14 10a4.500 4.500 0 0 0-6.400 0l-3.200 3.200a4.500 4.500 0 0 0 6.400 6.400L12 18.400',
  ),
  linking: stroke('M4 12a8 8 0 0 1 14-5.200L20 9M20 4v5h-5M20 12a8 8 0 0 1-14 5.200L4 15M4 20v-5h5'),
  lock: stroke('M5 11h14v9.500H5zM8 11V7.500a4 4 0 0 1 8 0V11M12 15v2'),
  more: stroke('M5 12h.01M12 12h.01M19 12h.01'),
  moon: stroke('M20 14.500A8.500 8.500 0 0 1 9.500 4a8.500 8.500 0 1 0 10.500 10.500z'),
  offline: stroke(
    'M4 4l16 16M12 19.500h.01M8.500 15.500a5 5 0 0 1 5-1.200M5 12a10 10 0 0 1 4.500-2.600M13.500 9.100A10 10 0 0 1 19 12M2.500 8.500A14 14 0 0 1 6 6.300M10.500 5A14 14 0 0 1 21.500 8.500',
  ),
  people: stroke(
    'M16 20c0-3.300-3-5-6.500-5S3 16.700 3 20M9.500 11.500a3.500 3.500 0 1 0 0-7 3.500 3.500 0 0 0 0 7zM21 20c0-2.800-1.600-4.400-4-4.900M15.500 4.700a3.500 3.500 0 0 1 0 6.600',
  ),
  relayed: stroke('M3 12h4M17 12h4M12 17a5 5 0 1 0 0-10 5 5 0 0 0 0 10zM12 12h.01'),
  send: stroke('M12 20V5M5.500 11.500L12 5l6.500 6.500'),
  stored: stroke('M5 4h11l3 3v13H5zM9 4v4h6V4M8.500 20v-6h7v6'),
  sun: stroke(
    'M12 16a4 4 0 1 0 0-8 4 4 0 0 0 0 8zM12 2.500v2M12 19.500v2M2.500 12h2M19.500 12h2M5.300 5.300l1.400 1.400M17.300 17.300l1.400 1.400M18.700 5.300l-1.400 1.400M6.700 17.300l-1.400 1.400',
  ),
  warning: stroke('M12 3.500L1.500 21h21zM12 10v5M12 18h.01'),
};

function stroke(path: string): SVGTemplateResult {
  return svg`<path d=${path} />`;
}
