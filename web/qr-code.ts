// A text as a QR code: which squares are dark. The one importer of its package.
import { correction, generate } from 'lean-qr/nano';

const border = 3;

/** Rows of equal length, the light border included; true is dark. Throws for texts of more than 2953 bytes. */
export function qrRows(text: string): boolean[][] {
  // Light correction: on a screen nothing is smudged, and fewer squares are easier to read from afar.
  const code = generate(text, { minCorrectionLevel: correction.L });
  const places = Array.from({ length: code.size + 2 * border }, (_, place) => place - border);
  return places.map((y) => places.map((x) => code.get(x, y)));
}
