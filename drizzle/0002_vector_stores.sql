CREATE TABLE `file_batches` (
	`seq` integer PRIMARY KEY AUTOINCREMENT NOT NULL,
	`id` text NOT NULL,
	`created_at` integer NOT NULL,
	`vector_store_id` text NOT NULL,
	`is_cancelled` integer NOT NULL,
	FOREIGN KEY (`vector_store_id`) REFERENCES `vector_stores`(`id`) ON UPDATE no action ON DELETE cascade
);
--> statement-breakpoint
CREATE UNIQUE INDEX `file_batches_id_unique` ON `file_batches` (`id`);--> statement-breakpoint
CREATE TABLE `files_of_batches` (
	`batch` integer NOT NULL,
	`entry` integer NOT NULL,
	PRIMARY KEY(`batch`, `entry`),
	FOREIGN KEY (`batch`) REFERENCES `file_batches`(`seq`) ON UPDATE no action ON DELETE cascade,
	FOREIGN KEY (`entry`) REFERENCES `vector_store_files`(`seq`) ON UPDATE no action ON DELETE cascade
);
--> statement-breakpoint
CREATE INDEX `batches_of_file` ON `files_of_batches` (`entry`);--> statement-breakpoint
CREATE TABLE `vector_store_files` (
	`seq` integer PRIMARY KEY AUTOINCREMENT NOT NULL,
	`id` text NOT NULL,
	`created_at` integer NOT NULL,
	`vector_store_id` text NOT NULL,
	`status` text NOT NULL,
	`usage_bytes` integer NOT NULL,
	`last_error` text,
	`chunking_strategy` text NOT NULL,
	`attributes` text NOT NULL,
	`embedded_by` text,
	`lease_id` text,
	`available_at` integer,
	FOREIGN KEY (`id`) REFERENCES `files`(`id`) ON UPDATE no action ON DELETE cascade,
	FOREIGN KEY (`vector_store_id`) REFERENCES `vector_stores`(`id`) ON UPDATE no action ON DELETE cascade
);
--> statement-breakpoint
CREATE UNIQUE INDEX `file_of_store` ON `vector_store_files` (`vector_store_id`,`id`);--> statement-breakpoint
CREATE INDEX `counts_of_store` ON `vector_store_files` (`vector_store_id`,`status`,`usage_bytes`);--> statement-breakpoint
CREATE INDEX `places_of_file` ON `vector_store_files` (`id`);--> statement-breakpoint
CREATE INDEX `files_to_do` ON `vector_store_files` (`available_at`,`seq`) WHERE "vector_store_files"."available_at" IS NOT NULL;--> statement-breakpoint
CREATE INDEX `files_by_lease` ON `vector_store_files` (`lease_id`) WHERE "vector_store_files"."lease_id" IS NOT NULL;--> statement-breakpoint
CREATE TABLE `vector_stores` (
	`seq` integer PRIMARY KEY AUTOINCREMENT NOT NULL,
	`id` text NOT NULL,
	`created_at` integer NOT NULL,
	`metadata` text NOT NULL,
	`name` text,
	`description` text,
	`expires_after` text,
	`expires_at` integer,
	`last_active_at` integer
);
--> statement-breakpoint
CREATE UNIQUE INDEX `vector_stores_id_unique` ON `vector_stores` (`id`);