// Finds the programs that specs need besides npm packages, Chromium and GnuPG, and installs them from Debian where it may.
import { spawnSync } from 'node:child_process';
import { accessSync, constants, statSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { say } from '../build.mjs';

const usualPlaces = [
  '/usr/bin',
  '/usr/local/bin',
  '/snap/bin',
  '/Applications/Chromium.app/Contents/MacOS',
  '/Applications/Google Chrome.app/Contents/MacOS',
];

/** The path of a Chromium: $CHROMIUM, one that is installed, or Debian's, installed now. */
export function ensureChromium() {
  const given = process.env.CHROMIUM;
  if (given !== undefined && given !== '') {
    if (isProgram(given)) return given;
    throw new Error(`CHROMIUM is ${given}, but there is no program there.`);
  }
  return ensure({
    names: ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable', 'Chromium', 'Google Chrome'],
    debianPackage: 'chromium',
    advice: 'Install Chromium or Chrome and run again, or name one: CHROMIUM=/path/to/chromium npm test',
  });
}

export function ensureGpg() {
  return ensure({
    names: ['gpg'],
    debianPackage: 'gnupg',
    advice:
      'Install GnuPG (Debian: apt-get install gnupg; macOS: brew install gnupg) so that "gpg" is on the PATH, and run again.',
  });
}

function ensure({ names, debianPackage, advice }) {
  const present = find(names);
  if (present !== undefined) return present;
  if (process.getuid?.() === 0 && find(['apt-get']) !== undefined) {
    say(`There is no ${names[0]} here. Installing Debian's package ${debianPackage} …`);
    apt('update');
    apt('install', '-y', '--no-install-recommends', debianPackage);
    const installed = find(names);
    if (installed !== undefined) return installed;
  }
  throw new Error(`The specs need ${names[0]}. ${advice}`);
}

// Another apt-get may be running: it is waited for. A failure shows when the program is still missing afterwards.
function apt(...args) {
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  spawnSync('apt-get', ['-q', '-o', 'DPkg::Lock::Timeout=300', ...args], { stdio: ['ignore', 2, 2], env });
}

function find(names) {
  const folders = [...(process.env.PATH ?? '').split(delimiter), ...usualPlaces];
  return names.flatMap((name) => folders.map((folder) => join(folder, name))).find(isProgram);
}

function isProgram(path) {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}
