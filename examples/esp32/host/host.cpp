// Time, serial line, memory and main() for the sketches on a computer.
#include "Arduino.h"
#include "WiFi.h"
#include "esp_random.h"

#include <poll.h>
#include <unistd.h>

#include <chrono>
#include <random>
#include <thread>

void setup();
void loop();

HostSerial Serial;
HostEsp ESP;
HostWiFi WiFi;

static const auto began = std::chrono::steady_clock::now();

const char *host_setting(const char *name, const char *otherwise) {
  const char *set = getenv(name);
  return set ? set : otherwise;
}

uint64_t micros() { return std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now() - began).count(); }
uint32_t millis() { return (uint32_t)(micros() / 1000); }
void delay(uint32_t ms) { std::this_thread::sleep_for(std::chrono::milliseconds(ms)); }
void configTime(long, int, const char *) {}

uint32_t esp_random() {
  static thread_local std::mt19937 numbers{std::random_device{}()};
  return (uint32_t)numbers();
}

void HostSerial::println(const char *text) {
  puts(text);
  fflush(stdout);
}

void HostSerial::printf(const char *format, ...) {
  va_list values;
  va_start(values, format);
  vprintf(format, values);
  va_end(values);
  fflush(stdout);
}

int HostSerial::available() {
  pollfd ready = {0, POLLIN, 0};
  return poll(&ready, 1, 0) == 1 && (ready.revents & POLLIN);
}

int HostSerial::read() {
  unsigned char c;
  if (::read(0, &c, 1) != 1) _Exit(0);  // the line is cut: the end
  return c;
}

static uint32_t number_in(const char *path, int place) {
  FILE *file = fopen(path, "r");
  char word[64];
  uint32_t number = 0;
  for (int n = 0; file && n <= place && fscanf(file, "%63s", word) == 1; n++) number = (uint32_t)strtoul(word, nullptr, 10);
  if (file) fclose(file);
  return number;
}

uint32_t HostEsp::getHeapSize() { return number_in("/proc/meminfo", 1); }
uint32_t HostEsp::getFreeHeap() { return getHeapSize() - number_in("/proc/self/statm", 1) * (uint32_t)(sysconf(_SC_PAGESIZE) / 1024); }

int main() {
  setup();
  for (;;) loop();
}
