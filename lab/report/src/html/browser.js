// What a reader would stumble over; run by the tests in a browser, no part of the page.
(() => {
  const all = [...document.querySelectorAll("body *")];
  document.querySelectorAll("details").forEach((one) => { one.open = true; });
  const name = (one) => `${one.tagName}.${one.className.baseVal ?? one.className}: ${one.textContent.slice(0, 40)}`;
  const numbers = (colour) => {
    const parts = colour.match(/[\d.]+/g).map(Number);
    const scale = colour.startsWith("color(") ? 255 : 1;
    const [red, green, blue, alpha = 1] = parts;
    return [red * scale, green * scale, blue * scale, alpha];
  };
  const over = (top, under) => [0, 1, 2].map((i) => top[i] * top[3] + under[i] * (1 - top[3])).concat(1);
  const background = (one) => {
    const layers = [];
    for (let at = one; at; at = at.parentElement) layers.push(numbers(getComputedStyle(at).backgroundColor));
    return layers.reverse().reduce((under, top) => over(top, under), [255, 255, 255, 1]);
  };
  const light = ([red, green, blue]) => {
    const part = (value) => (value / 255 <= 0.04045 ? value / 255 / 12.92 : ((value / 255 + 0.055) / 1.055) ** 2.4);
    return 0.2126 * part(red) + 0.7152 * part(green) + 0.0722 * part(blue);
  };
  const contrast = (one, colour) => {
    const under = background(one);
    const pair = [light(over(numbers(colour), under)), light(under)].sort((a, b) => b - a);
    return (pair[0] + 0.05) / (pair[1] + 0.05);
  };
  const has_text = (one) => [...one.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
  const shown = (one) => one.checkVisibility() && one.getClientRects().length > 0 && !one.closest(".unseen, title, desc");
  const texts = all.filter((one) => has_text(one) && shown(one));
  const edge = document.documentElement.clientWidth;
  const own_scroll = (one) => one.closest(".console, .sides pre");
  const svg = (one) => one instanceof SVGElement;
  return {
    sideways: document.documentElement.scrollWidth - edge,
    wide: texts.filter((one) => !own_scroll(one)).filter((one) => {
      const box = one.getBoundingClientRect();
      return box.right > edge + 0.5 || box.left < -0.5;
    }).map(name),
    // WCAG 2.2, 1.4.3: 4.5 for text.
    faint: texts.map((one) => [one, contrast(one, getComputedStyle(one)[svg(one) ? "fill" : "color"])])
      .filter(([, ratio]) => ratio < 4.5).map(([one, ratio]) => `${ratio.toFixed(2)} ${name(one)}`),
    texts: texts.length,
    scripts: document.scripts.length + document.images.length + (window.hostile ?? 0),
    background: getComputedStyle(document.body).backgroundColor,
  };
})()
