// Runs in the page (see `inPage`), where the types of a browser are.

globalThis.inPage = { widthPixels, hide, faintTexts };

/** Width of all that can be scrolled to. */
function widthPixels() {
  return document.documentElement.scrollWidth;
}

/** Make the page believe that its tab is in the background, or in front again. */
function hide(isHidden) {
  Object.defineProperty(document, "hidden", { configurable: true, get: () => isHidden });
  document.dispatchEvent(new Event("visibilitychange"));
}

/** Texts whose contrast with what is behind them is below 4.5 (WCAG 2.2 § 1.4.3, level AA). */
function faintTexts() {
  const hasText = (element) => [...element.childNodes].some((node) => node.nodeType === 3 && node.nodeValue.trim());
  return [...document.body.querySelectorAll("*")]
    .filter((element) => hasText(element) && contrastOf(element) < 4.5)
    .map((element) => `${element.tagName} ${element.className} ${element.textContent} ${contrastOf(element)}`);
}

function contrastOf(element) {
  const [a, b] = [luminance(getComputedStyle(element).color), luminance(groundOf(element))];
  return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
}

function groundOf(element) {
  const color = getComputedStyle(element).backgroundColor;
  return channelsOf(color)[3] === 0 && element.parentElement ? groundOf(element.parentElement) : color;
}

function luminance(color) {
  const linear = channelsOf(color).map((value) => {
    const share = value / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
}

function channelsOf(color) {
  return color.match(/[\d.]+/g).map(Number);
}
