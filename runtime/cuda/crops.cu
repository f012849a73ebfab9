// Crops of a picture to the input of an engine, on the GPU: cut, resized, ordered and normalised.
//
// Both interpolations compute what the libraries do that training and the CPU use, in the same integers.
// pillow-bilinear is Pillow's src/libImaging/Resample.c: a triangle as wide as the scale, weights of 22 bits, and
// bytes between the horizontal and the vertical pass (Pillow 13 turns the passes round where that is cheaper, which
// changes some bytes by 1). opencv-bilinear is cv::resize with INTER_LINEAR: four pixels, weights of 11 bits.
// Compile without contracting a * b + c, or the last bit may differ.

struct Crop {
    unsigned long long address;  // of its first pixel: three bytes, then the next to the right
    int pitch;                   // bytes from a row to the next
    int width, height;           // in pixels
    int unused;
};

// Where the taps of each output column and row begin, how many they are, and their weights. A thread for each:
// first the columns of a crop, then its rows.
extern "C" __global__ void weigh(const Crop *crops, int *bounds, int *weights, int count, int taps, int width,
                                 int height, int opencv) {
    int index = blockIdx.x * blockDim.x + threadIdx.x;
    int sides = width + height;
    if (index >= count * sides) return;
    Crop crop = crops[index / sides];
    int at = index % sides;
    int is_row = at >= width;
    int in = is_row ? crop.height : crop.width;
    int out = is_row ? height : width;
    if (is_row) at -= width;
    int *own = weights + (long long)index * taps;
    double scale = (double)in / out;
    if (opencv) {
        float place = (float)((at + 0.5) * scale - 0.5);
        int first = (int)floorf(place);
        float part = place - first;
        if (first < 0) first = 0, part = 0;
        if (first >= in - 1) first = in - 1, part = 0;
        bounds[2 * index] = first;
        bounds[2 * index + 1] = first < in - 1 ? 2 : 1;
        own[0] = (int)rintf((1.0f - part) * 2048);
        own[1] = (int)rintf(part * 2048);
        return;
    }
    double widened = scale < 1.0 ? 1.0 : scale;
    double center = (at + 0.5) * scale;
    int first = (int)(center - widened + 0.5);
    int end = (int)(center + widened + 0.5);
    if (first < 0) first = 0;
    if (end > in) end = in;
    double total = 0;
    double factor = 1.0 / widened;
    for (int pass = 0; pass < 2; pass++) {
        for (int tap = 0; tap < end - first; tap++) {
            double distance = (tap + first - center + 0.5) * factor;
            if (distance < 0) distance = -distance;
            double weight = distance < 1.0 ? 1.0 - distance : 0.0;
            if (pass == 0) total += weight;
            else own[tap] = (int)(0.5 + weight / total * (1 << 22));
        }
    }
    bounds[2 * index] = first;
    bounds[2 * index + 1] = end - first;
}

// A thread for each output pixel. `bytes` is (N, height, width, 3), or where that is null, `floats` is normalised
// (N, 3, height, width): (byte * scale - mean) / std.
extern "C" __global__ void cut(const Crop *crops, const int *bounds, const int *weights, int taps, int width,
                               int height, int opencv, int bgr, unsigned char *bytes, float *floats,
                               float scale, float mean0, float mean1, float mean2, float std0, float std1,
                               float std2) {
    int pixel = blockIdx.x * blockDim.x + threadIdx.x;
    if (pixel >= width * height) return;
    Crop crop = crops[blockIdx.y];
    int column = blockIdx.y * (width + height) + pixel % width;
    int row = blockIdx.y * (width + height) + width + pixel / width;
    const int *across = weights + (long long)column * taps;
    const int *down = weights + (long long)row * taps;
    const unsigned char *source = (const unsigned char *)crop.address +
                                  (long long)bounds[2 * row] * crop.pitch + 3 * bounds[2 * column];
    int sums[3] = {0, 0, 0};
    for (int y = 0; y < bounds[2 * row + 1]; y++, source += crop.pitch) {
        for (int channel = 0; channel < 3; channel++) {
            int sum = opencv ? 0 : 1 << 21;
            for (int x = 0; x < bounds[2 * column + 1]; x++) sum += source[3 * x + channel] * across[x];
            sums[channel] += opencv ? (down[y] * (sum >> 4)) >> 16 : down[y] * (sum >> 22);
        }
    }
    const float means[3] = {mean0, mean1, mean2}, stds[3] = {std0, std1, std2};
    for (int channel = 0; channel < 3; channel++) {
        int value = opencv ? (sums[channel] + 2) >> 2 : (sums[channel] + (1 << 21)) >> 22;
        value = value < 0 ? 0 : value > 255 ? 255 : value;
        int place = bgr ? 2 - channel : channel;
        if (bytes) {
            bytes[((long long)blockIdx.y * width * height + pixel) * 3 + place] = (unsigned char)value;
        } else {
            float mean = means[place], std = stds[place];
            floats[((long long)blockIdx.y * 3 + place) * width * height + pixel] = (value * scale - mean) / std;
        }
    }
}
