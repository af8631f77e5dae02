"""Makes the pictures of this folder with Pillow 13: python3 fixtures.py .

Beside each picture X lies what Pillow's convert("RGB") reads of it, X.want.png;
shortNN.want.png are rgb.png resized to a shorter side of NN pixels.
"""
import os
import sys

import numpy as np
from PIL import Image

out = sys.argv[1]
h, w = 21, 35
y, x = np.mgrid[0:h, 0:w]
a = np.stack([x * 7, y * 12, 255 - x * 7], 2).clip(0, 255)
a[5:12, 9:20] = (230, 30, 40); a[8:16, 15:28] = (20, 200, 60); a[0:4, 30:] = (250, 250, 20)
rgb = Image.fromarray(a.astype(np.uint8))
def save(im, name, **kw):
    p = os.path.join(out, name); im.save(p, **kw)
    Image.open(p).convert("RGB").save(p + ".want.png", optimize=True)
save(rgb, "420.jpg", quality=90, subsampling="4:2:0")
save(rgb, "422.jpg", quality=90, subsampling="4:2:2")
save(rgb, "444.jpg", quality=90, subsampling="4:4:4")
save(rgb, "progressive.jpg", quality=90, subsampling="4:2:0", progressive=True)
save(rgb.convert("L"), "grey.jpg", quality=90)
save(rgb.convert("CMYK"), "cmyk.jpg", quality=95)
ex = Image.Exif(); ex[0x0112] = 6
save(rgb, "exif.jpg", quality=90, exif=ex.tobytes())
save(rgb, "rgb.png", optimize=True)
save(rgb.convert("L"), "grey.png", optimize=True)
save(rgb.quantize(16), "palette.png", optimize=True)
r = rgb.convert("RGBA"); r.putalpha(Image.fromarray((x * 7 % 256).astype(np.uint8))); save(r, "alpha.png", optimize=True)
for short in (12, 42):
    rgb.resize((35 * short // 21, short), Image.BILINEAR).save(os.path.join(out, f"short{short}.want.png"), optimize=True)
