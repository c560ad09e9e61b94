"use strict";
/* Computes trained networks: lists of layers (train/history/timeline/live), and their arrays as one deflated text.
   A value is { shape, data }: an image [height, width, channels], tokens [tokens, width], or a vector [numbers]. */
const { readNet, runNet } = (() => {
  /** The arrays of a network, in the order in which its layers take them. */
  class Arrays {
    constructor(bytes, floats) {
      this.floats = new Float32Array(bytes.buffer, 0, floats);
      this.codes = new Int8Array(bytes.buffer, 4 * floats);
      this.at = { floats: 0, codes: 0 };
    }
    take(kind, count) {
      const from = this.at[kind];
      this.at[kind] += count;
      if (this.at[kind] > this[kind].length) throw new Error("a network has fewer arrays than its layers take");
      return this[kind].subarray(from, from + count);
    }
    linear(outputs, count) { return { scale: this.take("floats", outputs), bias: this.take("floats", outputs), codes: this.take("codes", outputs * count) }; }
  }

  async function inflate(text) {
    const packed = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
    const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
    return new Uint8Array(await new Response(stream).arrayBuffer());
  }

  /** A network that is ready to run: its layers with their arrays. */
  async function readNet(net) {
    const arrays = new Arrays(await inflate(net.weights), net.floats);
    return { ...net, layers: net.layers.map((layer) => withArrays(layer, arrays)) };
  }

  function withArrays(layer, arrays) {
    const own = ARRAYS[layer.op];
    if (layer.op !== "add") return own ? { ...layer, ...own(layer, arrays) } : layer;
    const of = (layers) => layers.map((inner) => withArrays(inner, arrays));
    return { ...layer, main: of(layer.main), side: of(layer.side) };
  }

  const ARRAYS = {
    dense: (l, arrays) => arrays.linear(l.outputs, l.inputs),
    conv: (l, arrays) => arrays.linear(l.outputs, l.kernel[0] * l.kernel[1] * l.inputs),
    layer_norm: (l, arrays) => ({ scale: arrays.take("floats", l.size), bias: arrays.take("floats", l.size) }),
    tokens: (l, arrays) => ({ table: arrays.take("floats", l.tokens * l.size) }),
  };

  /** From the pixels of a drawing, 28 x 28 numbers from 0 to 255, to { logits, shares, maps }. */
  function runNet(net, pixels) {
    const { side, mean, std, scale } = net.input, edge = (side - 28) / 2, data = new Float32Array(side * side);
    for (let y = 0; y < side; y++) {
      for (let x = 0; x < side; x++) {
        const inside = y >= edge && y < edge + 28 && x >= edge && x < edge + 28;
        data[y * side + x] = ((inside ? pixels[(y - edge) * 28 + x - edge] * scale : 0) - mean) / std;
      }
    }
    const maps = [], logits = chain(net.layers, { shape: [side, side, 1], data }, maps).data;
    return { logits, shares: softmax(logits), maps };
  }

  function chain(layers, value, maps = []) {
    for (const layer of layers) {
      value = LAYERS[layer.op](value, layer);
      if (layer.shows) maps.push({ name: layer.shows, ...value });
    }
    return value;
  }

  function softmax(numbers) {
    const most = numbers.reduce((a, b) => Math.max(a, b), -Infinity), grown = numbers.map((v) => Math.exp(v - most));
    const sum = grown.reduce((a, b) => a + b, 0);
    return grown.map((v) => v / sum);
  }

  /** The error function to 1e-7 (Abramowitz and Stegun 1964, 7.1.26, has 1.5e-7). */
  function erf(x) {
    const t = 1 / (1 + 0.3275911 * Math.abs(x));
    const sum = ((((1.061405429 * t - 1.453152027) * t + 1.421413741) * t - 0.284496736) * t + 0.254829592) * t;
    return Math.sign(x) * (1 - sum * Math.exp(-x * x));
  }

  const FUNCTIONS = {
    relu: (x) => Math.max(x, 0),
    leaky_relu: (x) => (x >= 0 ? x : 0.01 * x),
    elu: (x) => (x > 0 ? x : Math.expm1(x)),
    gelu: (x) => 0.5 * x * (1 + erf(x / Math.SQRT2)),
    gelu_tanh: (x) => 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3))),
    swish: (x) => x / (1 + Math.exp(-x)),
    sigmoid: (x) => 1 / (1 + Math.exp(-x)),
    tanh: Math.tanh,
    scaled_tanh: (x) => 1.7159 * Math.tanh((2 / 3) * x),
  };

  const LAYERS = {
    flatten: (x) => ({ shape: [x.data.length], data: x.data }),
    activation: (x, l) => ({ shape: x.shape, data: x.data.map(FUNCTIONS[l.name]) }),
    first: (x) => ({ shape: x.shape.slice(-1), data: x.data.slice(0, x.shape[x.shape.length - 1]) }),

    dense(x, { inputs, outputs, codes, scale, bias }) {
      const rows = x.data.length / inputs, data = new Float32Array(rows * outputs);
      for (let row = 0; row < rows; row++) {
        for (let o = 0; o < outputs; o++) {
          let sum = 0;
          for (let i = 0, w = o * inputs, from = row * inputs; i < inputs; i++) sum += codes[w + i] * x.data[from + i];
          data[row * outputs + o] = sum * scale[o] + bias[o];
        }
      }
      return { shape: [...x.shape.slice(0, -1), outputs], data };
    },

    conv(x, l) {
      const [rows, columns] = windows(x.shape, l), { inputs, outputs } = l, [, width] = x.shape;
      const data = new Float32Array(rows * columns * outputs), size = l.kernel[0] * l.kernel[1] * inputs;
      for (let row = 0; row < rows; row++) {
        for (let column = 0; column < columns; column++) {
          const [top, bottom, left, right] = inside(x.shape, l, row, column);
          for (let o = 0; o < outputs; o++) {
            let sum = 0;
            for (let y = top; y < bottom; y++) {
              const dy = y - row * l.stride[0] + l.pad[0][0];
              for (let at = left; at < right; at++) {
                const dx = at - column * l.stride[1] + l.pad[1][0];
                const w = o * size + (dy * l.kernel[1] + dx) * inputs, from = (y * width + at) * inputs;
                for (let c = 0; c < inputs; c++) sum += l.codes[w + c] * x.data[from + c];
              }
            }
            data[(row * columns + column) * outputs + o] = sum * l.scale[o] + l.bias[o];
          }
        }
      }
      return { shape: [rows, columns, outputs], data };
    },

    /** The largest number of each window, or the mean of those inside the image. */
    pool(x, l) {
      const [rows, columns] = windows(x.shape, l), [, width, channels] = x.shape, most = l.kind === "max";
      const data = new Float32Array(rows * columns * channels);
      for (let row = 0; row < rows; row++) {
        for (let column = 0; column < columns; column++) {
          const [top, bottom, left, right] = inside(x.shape, l, row, column), count = (bottom - top) * (right - left);
          for (let c = 0; c < channels; c++) {
            let found = most ? -Infinity : 0;
            for (let y = top; y < bottom; y++) {
              for (let at = left; at < right; at++) {
                const v = x.data[(y * width + at) * channels + c];
                found = most ? Math.max(found, v) : found + v / count;
              }
            }
            data[(row * columns + column) * channels + c] = found;
          }
        }
      }
      return { shape: [rows, columns, channels], data };
    },

    mean(x) {
      const size = x.shape[x.shape.length - 1], rows = x.data.length / size, data = new Float32Array(size);
      x.data.forEach((v, i) => { data[i % size] += v / rows; });
      return { shape: [size], data };
    },

    add(x, l) {
      const main = chain(l.main, x), side = chain(l.side, x);
      return { shape: main.shape, data: main.data.map((v, i) => v + side.data[i]) };
    },

    /** Every `stride`-th pixel, and channels of zeros up to `outputs`: the shortcut that has no weights. */
    subsample(x, { stride, outputs }) {
      const [height, width, channels] = x.shape, rows = Math.ceil(height / stride), columns = Math.ceil(width / stride);
      const data = new Float32Array(rows * columns * outputs);
      for (let row = 0; row < rows; row++) {
        for (let column = 0; column < columns; column++) {
          const from = (row * stride * width + column * stride) * channels;
          data.set(x.data.subarray(from, from + channels), (row * columns + column) * outputs);
        }
      }
      return { shape: [rows, columns, outputs], data };
    },

    /** The patches as tokens, with the class token in front if there is one, and their positions added. */
    tokens(x, { first, tokens, size, table }) {
      const data = Float32Array.from(table);
      x.data.forEach((v, i) => { data[i + (first ? size : 0)] += v; });
      return { shape: [tokens, size], data };
    },

    layer_norm(x, { size, scale, bias, epsilon }) {
      const data = new Float32Array(x.data.length);
      for (let from = 0; from < data.length; from += size) {
        const row = x.data.subarray(from, from + size), mean = row.reduce((a, b) => a + b, 0) / size;
        const rate = 1 / Math.sqrt(row.reduce((a, b) => a + (b - mean) ** 2, 0) / size + epsilon);
        for (let i = 0; i < size; i++) data[from + i] = (row[i] - mean) * rate * scale[i] + bias[i];
      }
      return { shape: x.shape, data };
    },

    /** Queries, keys and values side by side, [tokens, 3 * width] -> [tokens, width]. */
    attention(x, { heads }) {
      const [tokens, wide] = x.shape, width = wide / 3, size = width / heads, data = new Float32Array(tokens * width);
      const at = (token, part, head) => x.data.subarray(token * wide + part * width + head * size).subarray(0, size);
      for (let head = 0; head < heads; head++) {
        for (let token = 0; token < tokens; token++) {
          const query = at(token, 0, head), scores = new Float32Array(tokens);
          for (let key = 0; key < tokens; key++) scores[key] = at(key, 1, head).reduce((a, v, i) => a + v * query[i], 0) / Math.sqrt(size);
          softmax(scores).forEach((weight, key) => at(key, 2, head).forEach((v, i) => { data[token * width + head * size + i] += weight * v; }));
        }
      }
      return { shape: [tokens, width], data };
    },
  };

  /** How many windows an image has, [rows, columns]. */
  const windows = (shape, l) => [0, 1].map((axis) => Math.floor((shape[axis] + l.pad[axis][0] + l.pad[axis][1] - l.kernel[axis]) / l.stride[axis]) + 1);

  /** The part of a window that lies inside the image: [top, bottom, left, right], ends excluded. */
  function inside(shape, l, row, column) {
    return [row, column].flatMap((place, axis) => {
      const from = place * l.stride[axis] - l.pad[axis][0];
      return [Math.max(from, 0), Math.min(from + l.kernel[axis], shape[axis])];
    });
  }

  return { readNet, runNet };
})();
