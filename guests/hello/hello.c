#include <stdio.h>

int main(void) {
    printf("Hello from inside!\n");
    return 0;
}
