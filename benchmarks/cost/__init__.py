"""What a registration costs on AWS, counted on this machine and priced by the list: `make cost`."""
